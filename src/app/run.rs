//! `run`: reads, asks, then performs a plan over SSH or on the simulated fleet.

use std::io::IsTerminal as _;
use std::sync::Arc;

use super::books::{self, Books};
use super::session::{Manner, Session};
use super::trouble::Trouble;
use super::{Desk, fleet, keep, new_token, places, print};
use crate::cli::{self, NewTokenFrom, Pace, Unshown};
use crate::exit::Exit;
use crate::facts::{NewAgentToken, RunOptions, Words};
use crate::model::count;
use crate::plan::{Plan, Request};
use crate::secret::Secret;
use crate::wire::Become;

pub(super) fn run(desk: &Desk, asked: &cli::Run) -> Result<Exit, Trouble> {
    let mut books = books::read(&asked.books)?;
    if asked.restart_twice {
        books.set_on_first_server("restart_twice", true.into());
    }
    perform(desk, asked, books)
}

/// Performs what was read, or says what was asked for instead.
pub(super) fn perform(desk: &Desk, asked: &cli::Run, mut books: Books) -> Result<Exit, Trouble> {
    let plan = books.plan(&request(asked))?;
    if asked.only.syntax_check {
        return print(&format!(
            "{} and {} are fine\n",
            asked.books.playbook, asked.books.hosts.inventory
        ));
    }
    if asked.only.list_hosts || asked.only.list_tasks {
        return print(&list(&plan, asked.only.list_tasks));
    }
    books.warn();
    let options = options(asked)?;
    fleet::lay_over(&mut books.inventory, &asked.perform.reach)?;
    let state = places::state(desk, asked.perform.state_dir.as_ref())?;
    let nothing_done = || {
        let next = "run the same command again, or with --check";
        Trouble::said(Exit::Stopped, "nothing was done", next)
    };
    let vault = keep::vault(asked, &books, &plan, (&state, &options.run))?;
    let vault = vault.ok_or_else(nothing_done)?;
    if !confirmed(asked, &books, &plan)? {
        return Err(nothing_done());
    }
    let session = Session {
        desk,
        asked,
        books,
        options,
        state,
        custody: Arc::new(vault),
        manner: Manner::Run,
    };
    let ended = runtime(session.is_virtual())?.block_on(session.perform())?;
    Ok(ended.exit)
}

/// What is asked of the plan.
pub(super) fn request(asked: &cli::Run) -> Request {
    Request {
        limit: asked.books.hosts.limit.clone(),
        ..Request::default()
    }
}

/// The plan with what the command line lays over it.
pub(super) fn finish(mut plan: Plan, asked: &cli::Run) -> Plan {
    for play in &mut plan.plays {
        if asked.perform.reach.r#become && play.r#become == Become::Login {
            play.r#become = Become::Root;
        }
    }
    plan
}

pub(super) fn options(asked: &cli::Run) -> Result<RunOptions, Trouble> {
    let (fresh, known) = (new_token::read, new_token::read_known);
    let for_all = given("--new-token-from", asked.new_token_from.as_ref(), fresh)?;
    let for_agents = asked.new_agent_token_from.as_ref();
    let for_agents = given("--new-agent-token-from", for_agents, fresh)?;
    let old = given(
        "--old-token-from",
        asked.perform.old_token_from.as_ref(),
        known,
    )?;
    let datastore = given("--token-from", asked.token_from.as_ref(), known)?;
    if for_all.is_some() && for_all == for_agents {
        return Err(Trouble::usage(
            "--new-token-from and --new-agent-token-from give the same token: whoever joins an agent could join a server",
            "give two different ones, or leave one out: keyroll then makes it",
        ));
    }
    Ok(RunOptions {
        given: for_all,
        generated: new_token::made()?,
        agent: NewAgentToken {
            given: for_agents,
            generated: new_token::made()?,
        },
        run: places::run_id(),
        forks: asked.perform.forks,
        words: Words {
            old,
            datastore,
            expected: asked.perform.nodes.expect_unmanaged.clone(),
            ignored: asked.perform.nodes.ignore_node.clone(),
            unmeasured: asked.accepted.unmeasured,
            quorum_loss: asked.accepted.accept_quorum_loss,
            keep_modes: asked.keep_modes,
            own_backup: asked.keep.own_backup,
            ..Words::default()
        },
    })
}

/// The token that an option says the place of, read as its kind is.
fn given(
    option: &'static str,
    from: Option<&Unshown<NewTokenFrom>>,
    read: impl Fn(&str, &NewTokenFrom) -> Result<Secret, Trouble>,
) -> Result<Option<Secret>, Trouble> {
    let wrong = |why| Trouble::usage(format!("{option}: {why}"), "see the command's --help");
    let from = from.map(|from| from.get().map_err(wrong)).transpose()?;
    from.map(|from| read(option, &from)).transpose()
}

/// A real run on real hosts asks once, on a terminal.
fn confirmed(asked: &cli::Run, books: &Books, plan: &Plan) -> Result<bool, Trouble> {
    let silent = asked.perform.yes || asked.only.check || asked.perform.json || books.sim.is_some();
    if silent || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(true);
    }
    let hosts = books.inventory.hosts.len();
    ask(&format!(
        "perform {} on {}? [y/N] ",
        count(plan.plays.len(), "play", "plays"),
        count(hosts, "host", "hosts")
    ))
}

/// Asks on the terminal; whether the answer is yes. The end of the input is no answer, and so it is no.
pub(super) fn ask(question: &str) -> Result<bool, Trouble> {
    let terminal = console::Term::stderr();
    let wrong = |error: std::io::Error| {
        Trouble::usage(
            format!("no answer can be read: {error}"),
            "answer with --yes",
        )
    };
    terminal.write_str(question).map_err(wrong)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(wrong)?;
    if !answer.ends_with('\n') {
        terminal.write_line("").map_err(wrong)?;
    }
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn list(plan: &Plan, tasks: bool) -> String {
    let mut text = String::new();
    for (index, play) in plan.plays.iter().enumerate() {
        text.extend([format!("play #{} {}\n", index + 1, play.name)]);
        if tasks {
            let lines = play.tasks.iter().map(|task| format!("  {}\n", task.name));
            text.extend(lines);
        } else {
            text.extend(
                play.batches
                    .iter()
                    .flatten()
                    .map(|host| format!("  {host}\n")),
            );
        }
    }
    text
}

/// Real hosts and a paced fleet live in real time; else time jumps to the next thing that happens.
pub(super) fn runtime(virtual_time: bool) -> Result<tokio::runtime::Runtime, Trouble> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(virtual_time);
    builder.build().map_err(|error| {
        Trouble::said(
            Exit::Internal,
            format!("no runtime can be made: {error}"),
            "free some memory or file handles",
        )
    })
}

/// How fast the run's clock runs.
pub(super) fn pace(pace: Option<Pace>) -> u32 {
    match pace {
        Some(Pace::Tenfold) => 10,
        Some(Pace::Real) | None => 1,
    }
}
