//! One function per subcommand; the only place that wires parts together.

mod books;
mod doctor;
mod escrow;
mod fleet;
mod glance;
mod graph;
mod keep;
mod lint;
mod mend;
mod new_token;
mod password;
mod place;
mod places;
mod run;
mod session;
mod token;
mod trouble;
mod verify;

use std::io::{ErrorKind, IsTerminal as _};

use crate::cli::{Cli, Command, Surroundings};
use crate::exit::Exit;
use crate::report::{Paint, Writer};
use crate::source::Look;
use trouble::Trouble;

/// Does what the command line asks for.
#[must_use]
pub fn run(cli: &Cli) -> Exit {
    let desk = Desk::new(&cli.surroundings);
    let end = match &cli.command {
        Command::Run(run) => run::run(&desk, run),
        Command::Rollback(asked) => mend::rollback(&desk, asked),
        Command::Rescue(asked) => mend::rescue(&desk, asked),
        Command::Heal(asked) => mend::heal(&desk, asked),
        Command::Graph(graph) => graph::graph(graph),
        Command::Lint(books) => lint::lint(&desk, books),
        Command::Where(glance) => place::place(&desk, glance),
        Command::Doctor(asked) => doctor::doctor(&desk, asked),
        Command::Escrow(asked) => escrow::escrow(&desk, asked),
        Command::Token(asked) => token::token(&desk, asked),
        Command::Verify(verify) => verify::verify(&desk, verify),
    };
    end.unwrap_or_else(|trouble| trouble.tell(&desk))
}

/// What is around the process: streams and environment.
struct Desk {
    surroundings: Surroundings,
    out_is_terminal: bool,
    talk_is_terminal: bool,
}

impl Desk {
    fn new(surroundings: &Surroundings) -> Self {
        Self {
            surroundings: surroundings.clone(),
            out_is_terminal: std::io::stdout().is_terminal(),
            talk_is_terminal: std::io::stderr().is_terminal(),
        }
    }

    fn paint(&self, terminal: bool) -> Paint {
        Paint::wanted(
            terminal,
            self.surroundings.refuses_colour(),
            self.surroundings.forces_colour(),
        )
    }

    /// How problems are drawn on stderr.
    fn look(&self) -> Look {
        Look {
            colours: self.paint(self.talk_is_terminal) == Paint::Colour,
            unicode: self.talk_is_terminal,
            width: 100,
        }
    }
}

const UNWRITTEN: &str = "the output could not be written";
const UNWRITTEN_NEXT: &str =
    "make room where it goes or name another place, then run the same command again";

/// Writes a result; a closed pipe is the reader's choice and no error.
fn print(text: &str) -> Result<Exit, Trouble> {
    match Writer::standard().page(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Trouble::said(
            Exit::Journal,
            format!("{UNWRITTEN}: {error}"),
            UNWRITTEN_NEXT,
        )),
        _ => Ok(Exit::Fine),
    }
}
