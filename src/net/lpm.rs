//! temp
use crate::ident::Family;
use ipnet::IpNet;
use std::net::IpAddr;
#[derive(Debug, Default)]
pub struct Lpm {
    list: Vec<(IpNet, u32)>,
}
#[derive(Debug)]
pub struct DuplicatePrefix;
impl Lpm {
    pub fn build(p: impl IntoIterator<Item = (IpNet, u32)>) -> Result<Lpm, DuplicatePrefix> {
        Ok(Self {
            list: p.into_iter().collect(),
        })
    }
    pub fn lookup(&self, a: IpAddr) -> Option<u32> {
        self.list
            .iter()
            .filter(|(n, _)| n.contains(&a))
            .max_by_key(|(n, _)| n.prefix_len())
            .map(|(_, v)| *v)
    }
    pub fn covers(&self, f: Family) -> bool {
        self.list
            .iter()
            .any(|(n, _)| Family::of(n.addr()) == f && n.prefix_len() == 0)
    }
    pub fn is_empty(&self, f: Family) -> bool {
        !self.list.iter().any(|(n, _)| Family::of(n.addr()) == f)
    }
}
