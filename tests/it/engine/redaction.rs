//! No sink sees a secret, in whatever spelling a host says it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::fleet::{Fate, GIVEN, Hosts, Setup, plan, play, task};

#[test]
fn a_secret_in_a_hosts_words_reaches_no_sink() {
    let spellings = [
        GIVEN.to_owned(),
        format!("K10abcdef::server:{GIVEN}"),
        STANDARD.encode(format!("server:{GIVEN}")),
        URL_SAFE_NO_PAD.encode(format!("xx{GIVEN}")),
        serde_json::json!({ "newToken": GIVEN }).to_string(),
    ];
    for said in spellings {
        let hosts = Hosts::default();
        hosts.fate("a", Fate::Fails(said.clone().leak()));
        let book = plan(vec![play(
            "p",
            &[&["a"]],
            vec![task(&["say", &said], None)],
        )]);
        let ended = Setup::new(&hosts, book).run();
        let seen = serde_json::to_string(&*hosts.journal.lock().unwrap()).unwrap();
        assert!(seen.contains("***"), "{seen}");
        assert!(!seen.contains(&said), "{seen}");
        assert!(
            !serde_json::to_string(&ended.summary)
                .unwrap()
                .contains(&said)
        );
    }
}
