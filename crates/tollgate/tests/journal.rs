//! Budgets outlive the program, also when it is killed, and the journal holds nothing that it should not.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tollgate::journal::{By, Query, Reader};
use tollgate::limits::{Status, Unit};
use tollgate::tokens::{Catalog, PolicySpec};
use tollgate::{CallOptions, Tollgate};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

/// A folder that is deleted with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tollgate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn journal(&self) -> PathBuf {
        self.0.join("usage.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

const HOUSE: &str = r#"
[provider.house]
dialect = "openai"
hosts = ["llm.example.com"]
[provider.house.models."house-1"]
price = { input = "3", output = "15" }
"#;

/// Budgets and a quota, all over windows that last.
const POLICIES: &str = r#"
[[policy]]
name = "daily budget"
unit = "cost_usd"
limit = "25.00"
window = "day"
time_zone = "Europe/Berlin"

[[policy]]
name = "per tenant"
unit = "cost_usd"
limit = "5.00"
window = "day"
per = ["tenant"]

[[policy]]
name = "monthly budget"
unit = "cost_usd"
limit = "250.00"
window = "month"
time_zone = "Asia/Kolkata"

[[policy]]
name = "per session"
unit = "cost_usd"
limit = "1.00"
window = "session"

[[policy]]
name = "total budget"
unit = "cost_usd"
limit = "2500.00"
window = "total"

[[policy]]
name = "tokens a day"
unit = "tokens"
limit = 100000000
window = "day"
"#;

fn tollgate(path: &Path) -> Tollgate {
    #[derive(serde::Deserialize)]
    struct Policies {
        policy: Vec<PolicySpec>,
    }
    let mut catalog = Catalog::builtin();
    catalog.merge(HOUSE).unwrap();
    let policies: Policies = toml::from_str(POLICIES).unwrap();
    policies
        .policy
        .into_iter()
        .fold(Tollgate::builder(), tollgate::Builder::policy)
        .catalog(catalog)
        .provider("house")
        .journal(path)
        .build()
        .unwrap()
}

/// The provider: answers as the prompt asks it to.
async fn answer(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let asks = |word: &str| body.windows(word.len()).any(|at| at == word.as_bytes());
    if asks("please fail") {
        let mut response = Response::new(Full::from("{}"));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return Ok(response);
    }
    if asks("please break") {
        return Err(std::io::Error::other("broken"));
    }
    let tokens = body.len();
    Ok(Response::new(Full::from(format!(
        r#"{{"model":"house-1","choices":[{{"message":{{"content":"secret answer"}},"finish_reason":"stop"}}],
            "usage":{{"prompt_tokens":{tokens},"completion_tokens":7,"total_tokens":{},
            "prompt_tokens_details":{{"cached_tokens":5}}}}}}"#,
        tokens + 7
    ))))
}

/// Makes one call, and reads its answer unless that is to be dropped.
async fn call(tollgate: &Tollgate, ordinal: u64) {
    let client = ServiceBuilder::new()
        .layer(tollgate.layer())
        .service(service_fn(answer));
    let wish = ["", "", "please fail", "please break", "please be dropped"][ordinal as usize % 5];
    let mut request = Request::post("https://llm.example.com/v1/chat/completions?key=secret-url")
        .header("authorization", "Bearer secret-key")
        .header("openai-organization", "secret-org")
        .body(Full::from(format!(
            r#"{{"model":"house-1","max_tokens":50,"messages":[{{"role":"user","content":"secret prompt {wish} {ordinal}"}}]}}"#
        )))
        .unwrap();
    let tenant = ["search", "ads"][ordinal as usize % 2];
    let options = CallOptions::new()
        .tenant(tenant)
        .label("team", "blue")
        .label("session", ordinal.to_string())
        .label("key", "secret-label")
        .attempts(1);
    request.extensions_mut().insert(options);
    if let Ok(response) = client.oneshot(request).await
        && !wish.contains("dropped")
    {
        response.into_body().collect().await.unwrap();
    }
}

/// What is left of every policy, by name and partition.
fn left(tollgate: &Tollgate) -> Vec<(String, Vec<String>, u64)> {
    let of = |status: &Status| {
        let partition = status.partition.iter().map(ToString::to_string).collect();
        (status.policy.to_string(), partition, status.remaining())
    };
    let mut left: Vec<_> = tollgate
        .gate()
        .snapshot()
        .iter()
        .map(|state| of(&state.status))
        .collect();
    left.sort();
    left
}

#[tokio::test]
async fn a_restart_leaves_of_each_budget_what_was_left() {
    let folder = Folder::new("restart");
    let mut before = Vec::new();
    for run in 0..3 {
        let tollgate = tollgate(&folder.journal());
        if run > 0 {
            assert_eq!(left(&tollgate), before, "run {run}");
        }
        for ordinal in 0..50 {
            call(&tollgate, ordinal).await;
        }
        before = left(&tollgate);
        let count = |name: &str| before.iter().filter(|(of, ..)| of == name).count();
        assert_eq!((count("per tenant"), count("per session")), (2, 50));
        assert_eq!(before.len(), 2 + 50 + 4);
        assert_eq!(tollgate.gate().open_reservations(), 0);
    }
    let rows = Reader::open(folder.journal())
        .unwrap()
        .totals(&Query::new().by([By::Team, By::Provider, By::Model]))
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].key, ["blue", "house", "house-1"]);
    // Three of five calls end badly.
    let totals = rows[0].totals;
    assert_eq!(
        (totals.calls, totals.failed, totals.unpriced),
        (150, 90, 90)
    );
}

#[tokio::test]
async fn no_secret_gets_into_the_file() {
    let folder = Folder::new("secrets");
    let tollgate = tollgate(&folder.journal());
    for ordinal in 0..10 {
        call(&tollgate, ordinal).await;
    }
    drop(tollgate);
    let mut files = 0;
    for file in std::fs::read_dir(&folder.0).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|at| at == text.as_bytes());
        assert!(!holds("secret"), "a secret is in the file");
        files += usize::from(holds("house-1"));
    }
    assert!(files > 0, "and yet something is");
}

#[test]
fn a_journal_that_cannot_be_opened_is_an_error_of_the_configuration() {
    let folder = Folder::new("refused");
    std::fs::write(folder.journal(), "something else entirely, and long enough").unwrap();
    let error = Tollgate::from_toml(&format!("journal = {:?}", folder.journal()))
        .unwrap()
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("not a usage journal"), "{error}");
}

const JOURNAL: &str = "TOLLGATE_TEST_JOURNAL";

/// The program that is killed.
#[tokio::test]
#[ignore = "started and killed by another test: cargo test -p tollgate --features tower,journal --test journal after_a_kill"]
async fn calls_until_it_is_killed() {
    let path = std::env::var_os(JOURNAL).expect("started by a test");
    let tollgate = tollgate(path.as_ref());
    let journal = tollgate.journal().unwrap();
    for ordinal in 0..2_000 {
        // Calls that end well, so that what they cost is what they were charged.
        call(&tollgate, ordinal / 2 * 5 + ordinal % 2).await;
        if ordinal % 50 == 49 {
            journal.flush().await.unwrap();
            println!("acknowledged {}", journal.acknowledged());
        }
    }
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn after_a_kill_budgets_are_what_the_acknowledged_calls_left() {
    for seed in 0..3 {
        let folder = Folder::new("killed");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "calls_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(JOURNAL, folder.journal())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let target = random.u64(50..1_500);
        let mut acknowledged = 0;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            if let Some(count) = line.strip_prefix("acknowledged ") {
                acknowledged = count.parse().unwrap();
            }
            if acknowledged >= target {
                break;
            }
        }
        (0..random.u32(..1_000_000)).for_each(|_| std::hint::spin_loop());
        child.kill().unwrap();
        child.wait().unwrap();

        let tollgate = tollgate(&folder.journal());
        let reader = tollgate.journal().unwrap().reader().unwrap();
        let all = reader.totals(&Query::new()).unwrap()[0].totals;
        assert_eq!(all.failed, 0);
        assert!(all.calls >= acknowledged, "seed {seed}: {acknowledged}");
        let used = |name: &str, unit: Unit| -> u64 {
            let snapshot = tollgate.gate().snapshot();
            let of = snapshot
                .iter()
                .filter(|status| &*status.policy == name && status.unit == unit);
            of.map(|status| status.used).sum()
        };
        for budget in [
            "daily budget",
            "per tenant",
            "monthly budget",
            "per session",
            "total budget",
        ] {
            assert_eq!(used(budget, Unit::Cost), all.cost, "seed {seed}, {budget}");
        }
        let tokens = all.tokens.input + all.tokens.output;
        assert_eq!(
            used("tokens a day", Unit::TotalTokens),
            tokens,
            "seed {seed}"
        );
    }
}
