//! What the examples must print to have proven anything: the last line of `quickstart --json`, and the totals of `usage --csv`.

use serde_json::Value;

/// Checks the numbers under `tollgate` in one line of JSON.
///
/// No call was refused, at least 95 % of the quota was used, our books agree with the provider's to the token, and every call succeeded.
pub(super) fn check(line: &str) -> Result<(), String> {
    let report: Value = serde_json::from_str(line)
        .map_err(|error| format!("its last line is not JSON ({error}): {line}"))?;
    let count = |name| {
        report["tollgate"][name]
            .as_u64()
            .ok_or_else(|| format!("its report has no whole number at `tollgate.{name}`: {line}"))
    };
    let utilization = report["tollgate"]["utilization"]
        .as_f64()
        .ok_or_else(|| format!("its report has no number at `tollgate.utilization`: {line}"))?;
    let (calls, succeeded) = (count("calls")?, count("succeeded")?);
    let (provider, accounted) = (count("provider_tokens")?, count("accounted_tokens")?);
    let throttled = count("throttled")?;

    if throttled > 0 {
        return Err(format!(
            "the provider refused {throttled} calls; it must refuse none"
        ));
    }
    if calls == 0 || succeeded != calls {
        return Err(format!(
            "{succeeded} of {calls} calls succeeded; all must, and at least one"
        ));
    }
    if provider == 0 || provider != accounted {
        return Err(format!(
            "the provider booked {provider} tokens and we accounted for {accounted}; they must be the same, and not 0"
        ));
    }
    if utilization < 0.95 {
        return Err(format!(
            "{utilization} of the quota was used; at least 0.95 must be"
        ));
    }
    Ok(())
}

/// Checks that lines of CSV begin with a head and then add up to calls that were made and paid for.
pub(super) fn check_usage(lines: &[String]) -> Result<(), String> {
    let Some((head, rows)) = lines.split_first() else {
        return Err("it printed nothing".into());
    };
    let sum = |name: &str| -> Result<f64, String> {
        let column = head.split(',').position(|field| field == name);
        let column = column.ok_or_else(|| format!("its head has no `{name}`: {head}"))?;
        let numbers = rows.iter().map(|row| {
            let field = row.split(',').nth(column).unwrap_or_default();
            field
                .parse::<f64>()
                .map_err(|_| format!("`{field}` is no number of `{name}`: {row}"))
        });
        numbers.sum()
    };
    for name in ["calls", "input_tokens", "output_tokens", "cost_usd"] {
        if sum(name)? <= 0.0 {
            return Err(format!("its {name} add up to nothing"));
        }
    }
    match sum("failed")? {
        0.0 => Ok(()),
        failed => Err(format!("{failed} of its calls failed; none must")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"naive":{"throttled":70},"tollgate":{"calls":80,"succeeded":80,"throttled":0,"utilization":0.95,"provider_tokens":900,"accounted_tokens":900}}"#;

    /// Replaces one part of a good report and expects a reason with this beginning.
    fn refuse(part: &str, by: &str, reason: &str) {
        let line = GOOD.replace(part, by);
        assert_ne!(line, GOOD, "{part} is not in the report");
        let error = check(&line).unwrap_err();
        assert!(error.starts_with(reason), "{error}");
    }

    #[test]
    fn a_report_that_keeps_every_promise_passes() {
        assert_eq!(check(GOOD), Ok(()));
    }

    #[test]
    fn each_broken_promise_is_named() {
        refuse(
            r#""throttled":0"#,
            r#""throttled":1"#,
            "the provider refused 1 calls",
        );
        refuse(
            r#""succeeded":80"#,
            r#""succeeded":79"#,
            "79 of 80 calls succeeded",
        );
        refuse("80", "0", "0 of 0 calls succeeded");
        refuse("0.95", "0.949", "0.949 of the quota was used");
        refuse(
            r#""accounted_tokens":900"#,
            r#""accounted_tokens":901"#,
            "the provider booked 900 tokens and we accounted for 901",
        );
        refuse("900", "0", "the provider booked 0 tokens");
    }

    #[test]
    fn totals_that_add_up_to_something_pass_and_others_are_named() {
        let check = |head: &str, row: &str| check_usage(&[head.to_owned(), row.to_owned()]);
        let head = "day,calls,failed,input_tokens,output_tokens,cost_usd";
        assert_eq!(check(head, "2026-11-25,3,0,10,20,0.5"), Ok(()));
        let reason = |head, row| check(head, row).unwrap_err();
        assert_eq!(
            reason(head, "2026-11-25,3,1,10,20,0.5"),
            "1 of its calls failed; none must"
        );
        assert_eq!(
            reason(head, "2026-11-25,3,0,10,20,0"),
            "its cost_usd add up to nothing"
        );
        assert!(reason("day,calls", "2026-11-25,3").starts_with("its head has no `input_tokens`"));
        assert!(reason(head, "2026-11-25,x,0,10,20,1").starts_with("`x` is no number"));
        assert_eq!(check_usage(&[]).unwrap_err(), "it printed nothing");
    }

    #[test]
    fn a_missing_number_is_never_taken_for_zero() {
        refuse(
            r#""throttled":0,"#,
            "",
            "its report has no whole number at `tollgate.throttled`",
        );
        refuse(
            "0.95",
            "null",
            "its report has no number at `tollgate.utilization`",
        );
        refuse(GOOD, "done", "its last line is not JSON");
        refuse(GOOD, "", "its last line is not JSON");
    }
}
