//! What an error of the inner client tells: where it went wrong, and no secret.

use std::collections::BTreeMap;

use reqwest_middleware::{ClientBuilder, Error};
use tollgate_gate::{Gate, Plan};
use tollgate_http::{Exchange, Settings};
use tollgate_reqwest::TollgateMiddleware;
use tollgate_tokens::Catalog;

#[tokio::test]
async fn an_error_of_the_client_hides_the_query_and_the_user_of_its_url() {
    let gate = Gate::new(Plan::default());
    let settings = Settings::default().attempts(1);
    let exchange = Exchange::new(gate.clone(), Catalog::empty(), &BTreeMap::new(), settings);
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(TollgateMiddleware::new(exchange))
        .build();
    // Nobody listens on port 1.
    let url = "http://user7canary:password7canary@127.0.0.1:1/v1/chat/completions?key=key7canary";
    let error = client.post(url).send().await.expect_err("refused");
    let Error::Reqwest(inner) = &error else {
        panic!("the client's own error: {error}");
    };
    assert!(inner.is_connect());
    assert_eq!(
        inner.url().map(|url| url.as_str()),
        Some("http://127.0.0.1:1/v1/chat/completions")
    );
    let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    for text in chain.map(|e| format!("{e} {e:?}")) {
        assert!(!text.contains("7canary"), "{text}");
    }
    assert_eq!(gate.open_reservations(), 0);
}
