//! A path of the merged view, for people.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};

use crate::alto::canonical::number_text;
use crate::api::explain::{Explanation, Hop};

/// Formats a path as a table, and says which network's path it is where several hold the address.
pub fn path_text(path: &Explanation) -> String {
    let mut text = path_table(path).to_string();
    for end in [&path.src, &path.dst] {
        if let Some(holder) = &end.holder {
            text += &format!(
                "\n{} is held by several networks ({}); this is the path of {holder}.",
                end.asked, end.pid
            );
        }
    }
    text
}

fn path_table(path: &Explanation) -> Table {
    let mut metrics: Vec<&String> = path
        .hops
        .iter()
        .flat_map(|hop| match hop {
            Hop::Domain { costs, .. } | Hop::Interconnect { costs, .. } => costs.keys(),
        })
        .collect();
    metrics.sort();
    metrics.dedup();
    let cells = |costs: &BTreeMap<String, f64>| {
        let cell = |metric: &&String| costs.get(*metric).map_or("-".into(), |c| number_text(*c));
        metrics.iter().map(cell).collect::<Vec<_>>()
    };
    let mut table = Table::new();
    let header = ["", "from", "to", "serial", "age"].into_iter();
    table
        .load_style(presets::NOTHING)
        .set_header(header.chain(metrics.iter().map(|metric| metric.as_str())));
    for hop in &path.hops {
        let (shown, costs) = match hop {
            Hop::Domain {
                domain,
                from,
                to,
                costs,
                serial,
                age_seconds,
                ..
            } => (
                [
                    format!("in {domain}"),
                    from.clone(),
                    to.clone(),
                    serial.to_string(),
                    format!("{age_seconds} s"),
                ],
                costs,
            ),
            Hop::Interconnect {
                id,
                from,
                to,
                costs,
            } => (
                [
                    format!("over {id}"),
                    from.clone(),
                    to.clone(),
                    String::new(),
                    String::new(),
                ],
                costs,
            ),
        };
        table.add_row(shown.into_iter().chain(cells(costs)));
    }
    let total = ["in all", &path.src.pid, &path.dst.pid, "", ""].map(str::to_owned);
    table.add_row(total.into_iter().chain(cells(&path.total)));
    for column in 3..5 + metrics.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
