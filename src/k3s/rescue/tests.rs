use super::*;
use crate::k3s::phase::Standing;

const NEWER: &str = r#"level=fatal msg="/var/lib/rancher/k3s/server/cred/passwd newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart to be recreated from datastore.""#;
const LATE: &str = r#"level=error msg="Shutdown request received: failed to save bootstrap data: bootstrap data already found and encrypted with different token""#;
const SQLITE: &str = r#"level=fatal msg="Error: preparing server: failed to bootstrap cluster data: bootstrap data already found and encrypted with different token""#;
const RECONCILE: &str = r#"level=fatal msg="Failed to reconcile with temporary etcd: bootstrap data already found and encrypted with different token""#;
const PEER: &str =
    r#"level=warning msg="Unable to reconcile with remote datastore: not authorized""#;

fn secret(name: &str) -> Secret {
    Secret::new(format!("{name}0000000000000000000000000000"))
}

fn signs(lines: &[&str]) -> Signs {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    Signs::read(&lines)
}

/// A server in a crash loop, with these secrets on surface, in `server/token` and in passwd.
fn patient(surface: &str, on_disk: &str, passwd: &str, lines: &[&str]) -> Patient {
    Patient {
        pulse: Pulse::Fails,
        surface: Some(secret(surface)),
        on_disk: Some(secret(on_disk)),
        passwd: Some(secret(passwd)),
        joins: false,
        tried: true,
        signs: signs(lines),
        newer: false,
        begun: false,
        decided: None,
        refused_now: false,
    }
}

impl Patient {
    /// From all servers together, where nobody has asked the datastore.
    fn judged(
        &self,
        standing: Option<&Standing>,
        witnessed: bool,
        unseen: bool,
    ) -> Result<Secret, Unclear> {
        self.right(&Evidence {
            standing,
            witnessed,
            unseen,
            ..Evidence::default()
        })
    }
}

fn rotated() -> Standing {
    Standing {
        old: Some(secret("old")),
        new: secret("new"),
        aside: Vec::new(),
        datastore: secret("new"),
        is_told: false,
        rotator: None,
        is_back: false,
        given_passed_over: false,
        phases: Vec::new(),
    }
}

fn unrotated() -> Standing {
    Standing {
        datastore: secret("old"),
        ..rotated()
    }
}

#[test]
fn signs_are_of_the_attempts_since_the_last_good_start() {
    assert_eq!(signs(&[LATE, NEWER, NEWER]).last, Some(Sign::Newer));
    assert_eq!(signs(&[PEER, RECONCILE]).last, Some(Sign::OtherToken));
    assert!(signs(&[PEER, RECONCILE]).peer_refuses);
    let over = signs(&[
        NEWER,
        "Started k3s.service - Lightweight Kubernetes.",
        "level=info msg=x",
    ]);
    assert_eq!(
        (over.last, over.line.as_deref()),
        (None, Some("level=info msg=x"))
    );
    let other = signs(&[
        "level=fatal msg=\"no space left\"",
        "k3s.service: Failed with result 'exit-code'.",
    ]);
    assert_eq!(
        other.line.as_deref(),
        Some("level=fatal msg=\"no space left\"")
    );
}

#[test]
fn a_single_server_that_was_rotated_by_hand_has_the_only_copy_of_new() {
    let hand = patient("old", "new", "new", &[SQLITE]);
    assert_eq!(hand.judged(None, false, false), Ok(secret("new")));
    assert_eq!(hand.remedy(&secret("new"), true), Ok(Remedy::Surface));
    // Nothing shows that a start with OLD was refused.
    let mut untried = hand.clone();
    untried.tried = false;
    assert_eq!(untried.judged(None, false, false), Err(Unclear::Token));
}

#[test]
fn the_two_stage_trap_takes_the_datastores_token_and_a_new_passwd() {
    let mut trapped = patient("old", "old", "old", &[LATE, NEWER]);
    trapped.joins = true;
    assert_eq!(
        trapped.judged(Some(&rotated()), true, false),
        Ok(secret("new"))
    );
    assert_eq!(trapped.remedy(&secret("new"), false), Ok(Remedy::Passwd));
    // With NEW in its configuration it stays so; its passwd removed, it only has to start.
    trapped.surface = Some(secret("new"));
    assert_eq!(trapped.remedy(&secret("new"), false), Ok(Remedy::Passwd));
    trapped.passwd = None;
    assert_eq!(trapped.remedy(&secret("new"), false), Ok(Remedy::Start));
    // A person has removed both, and configured nothing: what its peers accept is what was refused.
    (trapped.surface, trapped.on_disk) = (Some(secret("old")), None);
    let alone = trapped.judged(Some(&unrotated()), false, false);
    assert_eq!(alone, Err(Unclear::Token));
}

#[test]
fn the_trap_is_the_same_when_its_peers_refuse_the_old_token_by_now() {
    let mut trapped = patient("old", "old", "old", &[LATE, NEWER, PEER, RECONCILE]);
    (trapped.joins, trapped.newer) = (true, true);
    assert_eq!(
        trapped.judged(Some(&rotated()), true, false),
        Ok(secret("new"))
    );
    assert_eq!(trapped.remedy(&secret("new"), true), Ok(Remedy::Passwd));
    // Nobody keeps the old token: what all that run accept is right, although the journal tells of a refusal then.
    let by_hand = Standing {
        old: None,
        new: secret("next"),
        aside: Vec::new(),
        ..rotated()
    };
    assert_eq!(
        trapped.judged(Some(&by_hand), false, false),
        Ok(secret("new"))
    );
    let mut cut = trapped.clone();
    (cut.surface, cut.on_disk, cut.passwd) = (Some(secret("new")), None, None);
    cut.newer = false;
    assert_eq!(cut.judged(Some(&by_hand), false, false), Ok(secret("new")));
    assert_eq!(cut.remedy(&secret("new"), true), Ok(Remedy::Start));
    // A passwd that is no newer follows the datastore by itself.
    trapped.newer = false;
    assert_eq!(trapped.remedy(&secret("new"), true), Ok(Remedy::Surface));
}

#[test]
fn a_rotate_that_only_files_tell_of_needs_a_witness() {
    let looping = patient("old", "new", "new", &[RECONCILE]);
    assert_eq!(
        looping.judged(Some(&rotated()), false, false),
        Ok(secret("new"))
    );
    let torn = patient("new", "new", "new", &[RECONCILE]);
    assert_eq!(
        torn.judged(Some(&rotated()), false, false),
        Ok(secret("old"))
    );
    let silent = patient("new", "new", "new", &["level=fatal msg=x"]);
    assert_eq!(
        silent.judged(Some(&rotated()), false, false),
        Err(Unclear::Token)
    );
    // Its own data was read with OLD: the rotate failed half way.
    let half = patient("old", "new", "new", &[NEWER]);
    assert_eq!(
        half.judged(Some(&rotated()), false, false),
        Ok(secret("old"))
    );
}

#[test]
fn while_nobody_knows_of_a_rotation_the_common_token_is_right_unless_it_was_refused() {
    let mistyped = patient("typo", "old", "old", &[RECONCILE]);
    assert_eq!(
        mistyped.judged(Some(&unrotated()), false, false),
        Ok(secret("old"))
    );
    assert_eq!(
        mistyped.judged(Some(&unrotated()), false, true),
        Err(Unclear::Token)
    );
    let by_hand = patient("old", "new", "new", &[RECONCILE]);
    assert_eq!(
        by_hand.judged(Some(&unrotated()), false, true),
        Ok(secret("new"))
    );
    let refused = patient("old", "old", "old", &[RECONCILE]);
    assert_eq!(
        refused.judged(Some(&unrotated()), false, false),
        Err(Unclear::Token)
    );
    let mut rests = patient("old", "new", "new", &[]);
    rests.pulse = Pulse::Rests;
    assert_eq!(
        rests.judged(Some(&unrotated()), false, false),
        Err(Unclear::Token)
    );
}

#[test]
fn a_member_that_lacks_the_key_waits_for_its_peers() {
    let mut away = patient("new", "old", "old", &[PEER, RECONCILE]);
    away.joins = true;
    assert_eq!(
        away.judged(Some(&rotated()), true, false),
        Ok(secret("new"))
    );
    assert_eq!(away.remedy(&secret("new"), false), Err(Unclear::PeersFirst));
    assert_eq!(away.remedy(&secret("new"), true), Ok(Remedy::Start));
}

#[test]
fn the_own_copy_of_a_member_that_was_away_does_not_speak_against_the_new_token() {
    // As v1.34 says it, and as K3s did before.
    let ways = [
        [PEER, RECONCILE],
        [
            r#"level=warning msg="Unable to reconcile with datastore: <nil>""#,
            RECONCILE,
        ],
    ];
    for lines in ways {
        let mut away = patient("new", "old", "old", &lines);
        away.joins = true;
        let unwitnessed = away.judged(Some(&rotated()), false, false);
        assert_eq!(unwitnessed, Err(Unclear::Token), "{lines:?}");
        assert_eq!(away.remedy(&secret("new"), false), Err(Unclear::PeersFirst));
        // The old token it does speak against: it had been replaced before it went away.
        away.surface = Some(secret("old"));
        let right = away.judged(Some(&rotated()), false, false);
        assert_eq!(right, Ok(secret("new")), "{lines:?}");
    }
}

#[test]
fn a_restored_snapshot_reads_its_data_with_the_token_that_is_configured() {
    let restored = patient("old", "old", "old", &[NEWER]);
    assert_eq!(restored.judged(None, false, false), Ok(secret("old")));
    assert_eq!(restored.remedy(&secret("old"), true), Ok(Remedy::Passwd));
    let with_new = patient("new", "old", "old", &[RECONCILE]);
    assert_eq!(with_new.judged(None, false, false), Ok(secret("old")));
    assert_eq!(with_new.remedy(&secret("old"), true), Ok(Remedy::Surface));
}

#[test]
fn what_is_none_of_these_is_refused() {
    let full = patient(
        "old",
        "old",
        "old",
        &["level=fatal msg=\"no space left on device\""],
    );
    assert_eq!(full.remedy(&secret("old"), true), Err(Unclear::Unknown));
    let mut starts = full.clone();
    (starts.pulse, starts.signs) = (Pulse::Starts, Signs::default());
    assert_eq!(starts.remedy(&secret("old"), true), Err(Unclear::Starting));
    let mut runs = full;
    runs.pulse = Pulse::Runs;
    assert_eq!(runs.remedy(&secret("old"), true), Ok(Remedy::Nothing));
    assert_eq!(runs.remedy(&secret("new"), true), Ok(Remedy::Surface));
}

#[test]
fn the_datastores_own_answer_decides() {
    // The trap has put OLD back everywhere; the datastore says that it has not OLD.
    let mut trapped = patient("old", "old", "old", &[LATE, NEWER]);
    trapped.joins = true;
    let (old, new) = (secret("old"), secret("new"));
    let unrotated = unrotated();
    let asked = |has_it| Evidence {
        standing: Some(&unrotated),
        unseen: true,
        asked: Some((&old, has_it)),
        ..Evidence::default()
    };
    assert_eq!(trapped.right(&asked(true)), Ok(secret("old")));
    assert_eq!(trapped.right(&asked(false)), Err(Unclear::Token));
    let others = [secret("old"), secret("new")];
    let told = Evidence {
        others: &others,
        ..asked(false)
    };
    assert_eq!(trapped.right(&told), Ok(secret("new")));
    let given = Evidence {
        given: Some(&new),
        ..asked(false)
    };
    assert_eq!(trapped.right(&given), Ok(secret("new")));
    let three = [secret("x"), secret("new")];
    let doubtful = Evidence {
        others: &three,
        ..asked(false)
    };
    assert_eq!(trapped.right(&doubtful), Err(Unclear::Token));
    let rotator = patient("old", "new", "new", &[]);
    assert_eq!(rotator.right(&asked(false)), Ok(secret("new")));
    let rotated = rotated();
    let of_both = Evidence {
        standing: Some(&rotated),
        ..asked(false)
    };
    assert_eq!(trapped.right(&of_both), Ok(secret("new")));
    let of_three = Evidence {
        third: true,
        ..of_both
    };
    assert_eq!(trapped.right(&of_three), Err(Unclear::Token));
}

#[test]
fn a_first_server_that_was_away_reads_its_own_copy_and_that_is_said() {
    let mut away = patient("new", "new", "new", &[RECONCILE]);
    let common = Standing {
        datastore: secret("new"),
        new: secret("next"),
        ..unrotated()
    };
    assert_eq!(
        away.judged(Some(&common), false, false),
        Err(Unclear::Token)
    );
    let new = secret("new");
    let told = Evidence {
        standing: Some(&common),
        given: Some(&new),
        ..Evidence::default()
    };
    assert_eq!(away.right(&told), Ok(secret("new")));
    // Where it is certain, it is started once, since its copy may have caught up.
    assert_eq!(
        away.judged(Some(&rotated()), true, false),
        Ok(secret("new"))
    );
    assert_eq!(away.remedy(&secret("new"), false), Ok(Remedy::Start));
    away.refused_now = true;
    for peers_have_it in [true, false] {
        let refused = away.remedy(&secret("new"), peers_have_it);
        assert_eq!(refused, Err(Unclear::OwnCopy));
    }
    // Nor does such a copy speak against what somebody says. The datastore itself does.
    away.joins = true;
    assert_eq!(away.right(&told), Ok(secret("new")));
    away.signs = signs(&[LATE]);
    assert_eq!(away.right(&told), Err(Unclear::Token));
}

#[test]
fn what_a_rescue_has_found_out_stays_until_a_start_is_refused_with_it() {
    // Lines of before it wrote the token are still in the journal.
    let mut waits = patient("new", "new", "new", &[RECONCILE]);
    (waits.pulse, waits.begun) = (Pulse::Starts, true);
    waits.decided = Some(secret("new"));
    assert_eq!(waits.judged(None, false, true), Ok(secret("new")));
    assert_eq!(waits.remedy(&secret("new"), true), Ok(Remedy::Start));
    waits.refused_now = true;
    assert_eq!(waits.judged(None, false, true), Err(Unclear::Token));
}

#[test]
fn when_no_server_runs_the_files_of_the_one_that_was_rotated_tell_the_others() {
    let trapped = patient("old", "old", "old", &[LATE, NEWER]);
    let others = [secret("new")];
    let evidence = Evidence {
        unseen: true,
        others: &others,
        ..Evidence::default()
    };
    let mut joined = trapped;
    joined.joins = true;
    assert_eq!(joined.right(&evidence), Ok(secret("new")));
    // A single server that was stopped after a rotate is started with what that has left.
    let mut rests = patient("old", "new", "new", &[]);
    rests.pulse = Pulse::Rests;
    assert_eq!(rests.judged(None, false, false), Ok(secret("new")));
    assert_eq!(rests.judged(None, false, true), Err(Unclear::Token));
}

#[test]
fn a_rotate_that_failed_on_a_running_server_has_left_a_passwd_that_must_go() {
    let mut runs = patient("new", "old", "old", &[]);
    (runs.pulse, runs.newer) = (Pulse::Runs, true);
    assert_eq!(runs.remedy(&secret("new"), true), Ok(Remedy::Passwd));
    runs.pulse = Pulse::Rests;
    assert_eq!(runs.remedy(&secret("new"), true), Ok(Remedy::Passwd));
}

#[test]
fn where_nobody_can_be_asked_a_token_of_files_is_tried_until_a_start_is_refused_with_it() {
    let mut trapped = patient("old", "new", "new", &[NEWER]);
    trapped.joins = true;
    let (unrotated, old) = (unrotated(), secret("old"));
    let evidence = |trial| Evidence {
        standing: Some(&unrotated),
        trial,
        ..Evidence::default()
    };
    assert_eq!(trapped.right(&evidence(false)), Err(Unclear::Token));
    assert_eq!(trapped.right(&evidence(true)), Ok(secret("new")));
    let given = Evidence {
        given: Some(&old),
        ..evidence(false)
    };
    assert_eq!(trapped.right(&given), Ok(secret("old")));
    // Its passwd and token are gone by then.
    let mut refused = patient("new", "new", "new", &[PEER, RECONCILE]);
    refused.joins = true;
    (refused.on_disk, refused.passwd) = (None, None);
    assert_eq!(refused.right(&evidence(true)), Ok(secret("old")));
}

#[test]
fn what_the_datastore_did_not_have_is_no_candidate_later() {
    let runs = patient("old", "second", "second", &[]);
    let (old, denied) = (secret("old"), [secret("second")]);
    let others = [secret("old"), secret("third")];
    let asked = |denied| Evidence {
        asked: Some((&old, false)),
        others: &others,
        denied,
        ..Evidence::default()
    };
    assert_eq!(runs.right(&asked(&[])), Ok(secret("second")));
    assert_eq!(runs.right(&asked(&denied)), Ok(secret("third")));
}
