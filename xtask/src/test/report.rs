//! What the last line of `quickstart --json` must say for the example to have proven anything.

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
