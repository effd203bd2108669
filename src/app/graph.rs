//! `graph`: draws the plan. Asks no host, so the order of servers is the inventory's.

use super::trouble::Trouble;
use super::{books, print};
use crate::cli::{self, Format};
use crate::exit::Exit;
use crate::plan::{self, Request};

pub(super) fn graph(graph: &cli::Graph) -> Result<Exit, Trouble> {
    let books = books::read(&graph.books)?;
    let request = Request {
        limit: graph.books.hosts.limit.clone(),
        ..Request::default()
    };
    let plan = books.plan(&request)?;
    print(&match graph.format {
        Format::Terminal => plan::draw(&plan),
        Format::Dot => plan::dot(&plan),
    })
}
