//! The kube-apiservers of a cluster, as they list themselves.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::nodes::{json, listed};
use super::{Admin, Fact, FactError};
use crate::wire::{Query, Response};

/// `kubectl get endpoints -n default kubernetes` on a server: each kube-apiserver keeps its address there, whether or not
/// its host is a node.
#[derive(Debug, Clone)]
pub struct Apiservers(pub Admin);

#[derive(Deserialize)]
struct Endpoints {
    #[serde(default)]
    subsets: Vec<Subset>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subset {
    #[serde(default)]
    addresses: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    ip: String,
}

impl Fact for Apiservers {
    /// Their addresses.
    type Value = BTreeSet<String>;

    fn queries(&self) -> Vec<Query> {
        listed(&self.0, &["endpoints", "-n", "default", "kubernetes"])
    }

    fn parse(&self, responses: &[Response]) -> Result<BTreeSet<String>, FactError> {
        let endpoints: Endpoints = json(responses, "the list of kube-apiservers")?;
        let addresses = endpoints.subsets.into_iter().flat_map(|it| it.addresses);
        Ok(addresses.map(|address| address.ip).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::answer;

    fn read(json: &str) -> Result<Vec<String>, FactError> {
        let found = Apiservers(Admin::of_a_server()).parse(&[answer(0, json, "")])?;
        Ok(found.into_iter().collect())
    }

    #[test]
    fn addresses_are_counted_once_and_there_may_be_none() {
        let two = r#"{"kind": "Endpoints", "subsets": [
            {"addresses": [{"ip": "10.0.1.1"}, {"ip": "10.0.1.2"}], "ports": [{"port": 6443}]},
            {"addresses": [{"ip": "10.0.1.1"}], "notReadyAddresses": [{"ip": "10.0.1.9"}]}]}"#;
        assert_eq!(read(two).unwrap(), ["10.0.1.1", "10.0.1.2"]);
        assert!(read(r#"{"kind": "Endpoints"}"#).unwrap().is_empty());
        assert!(read(&two[..60]).is_err());
    }
}
