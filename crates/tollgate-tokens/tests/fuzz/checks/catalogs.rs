//! Catalog files: any text.

use std::sync::OnceLock;

use tollgate_tokens::Catalog;

/// A text is a catalog or an error. An error names what is wrong and changes nothing; a catalog can be merged twice, and its limits can be
/// listed.
pub(crate) fn check_catalog(data: &[u8]) {
    static BUILTIN: OnceLock<Catalog> = OnceLock::new();
    let builtin = BUILTIN.get_or_init(Catalog::builtin);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut catalog = builtin.clone();
    if let Err(error) = catalog.merge(text) {
        assert!(!error.message().is_empty());
        assert_eq!(&catalog, builtin);
        return;
    }
    let once = catalog.clone();
    catalog
        .merge(text)
        .expect("what could be merged once can be again");
    assert_eq!(catalog, once);
    for provider in catalog.providers() {
        let tiers = provider.tiers.iter().map(|tier| Some(&*tier.name));
        for tier in tiers.chain([None]) {
            let policies = provider.policies(tier).expect("its own tiers exist");
            let mut names: Vec<_> = policies.iter().map(|policy| &policy.name).collect();
            names.sort();
            names.dedup();
            assert_eq!(
                names.len(),
                policies.len(),
                "no two limits have the same name"
            );
        }
        let _ = provider.model("gpt-4o-mini");
    }
}
