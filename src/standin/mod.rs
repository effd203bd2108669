//! A real process that behaves as `k3s` does, for hosts without one: the second front end of the model in `sim`.
//!
//! What K3s would do is decided there. Here are files, sockets and certificates, and a directory that all hosts of
//! a cluster share in place of a datastore. Compiled with the feature `standin` alone.

mod admin;
mod agent;
mod answer;
mod balancer;
mod cli;
mod client;
mod disk;
mod dress;
mod kubectl;
mod kubelet;
mod launch;
mod listen;
mod notify;
mod pki;
mod reset;
mod server;
mod shared;
mod snapshot;
mod table;
mod title;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use crate::model::HostTime;
use crate::sim::call::Call;
use crate::sim::kubectl::Ended;
use crate::sim::unpack;
use crate::sim::version::Version;
use crate::sim::world::Line;

/// Does what `k3s ARGS…` does.
#[must_use]
pub fn run(args: Vec<String>, env: BTreeMap<String, String>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return ExitCode::FAILURE;
    };
    let tasks = tokio::task::LocalSet::new();
    let ended = tasks.block_on(&runtime, perform(args, env));
    // A process whose output nobody reads ends all the same.
    std::io::stdout().write_all(ended.stdout.as_bytes()).ok();
    std::io::stderr().write_all(ended.stderr.as_bytes()).ok();
    ExitCode::from(u8::try_from(ended.status).unwrap_or(1))
}

async fn perform(args: Vec<String>, env: BTreeMap<String, String>) -> Ended {
    if let Some(ended) = table::get_nodes(&args).await {
        return ended;
    }
    if let Some(("dress", rest)) = args.split_first().map(|(verb, rest)| (verb.as_str(), rest)) {
        return dress::dress(rest);
    }
    let call = Call::parse(&args);
    if let Some(call) = call.as_ref().filter(|call| call.unpacks())
        && let Err(error) = unpack::for_call(call.told(), &env, &mut disk::Disk)
    {
        return launch::fatal(format!("extracting data: {error}"));
    }
    match call {
        Some(Call::Version) => Ended::fine(version(&env).banner()),
        Some(Call::Kubectl(call)) => kubectl::run(&call, version(&env)).await,
        Some(Call::SaveSnapshot { name }) => snapshot::save(&name).await,
        Some(Call::EncryptionStatus) => cli::encryption().await,
        Some(Call::Rotate(asked)) => cli::rotate(&asked).await,
        Some(Call::CreateToken(wanted)) => cli::create(&wanted).await,
        Some(Call::DeleteTokens {
            ids, kubeconfig, ..
        }) => cli::delete(kubeconfig.as_deref(), &ids).await,
        Some(Call::ListTokens) => cli::list().await,
        Some(Call::Serve(args)) => match title::hide(args, &env) {
            Ok(args) => launch::serve(args, env).await,
            Err(error) => launch::fatal(format!("Error: {error}")),
        },
        None => Ended::bad(2, format!("the stand-in has no `k3s {}`", args.join(" "))),
    }
}

/// Which K3s this is: `STANDIN_VERSION`.
fn version(env: &BTreeMap<String, String>) -> Version {
    let named = env.get("STANDIN_VERSION");
    named
        .and_then(|name| Version::named(name))
        .unwrap_or_default()
}

/// The host's clock.
fn now() -> HostTime {
    HostTime(jiff::Timestamp::now().as_microsecond())
}

/// Writes lines as K3s logs them.
fn log(lines: &[Line]) {
    for line in lines {
        // A log that cannot be written is lost.
        writeln!(std::io::stderr(), "{}", line.logged()).ok();
    }
}
