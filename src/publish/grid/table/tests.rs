//! What a table reads, and what it is expected to take.

use std::sync::Arc;

use super::*;
use crate::ident::MetricName;
use crate::net::Matrix;
use crate::publish::testing::content;

/// A view of this many PIDs whose only costs are `routingcost`, different for each pair.
fn with_costs(pids: usize) -> Content {
    let empty = content(pids);
    let cells = (0..pids * pids).map(|cell| cell as f64).collect();
    let matrix = Matrix::from_cells(pids, pids, cells).expect("a square");
    Content::new(
        empty.name().clone(),
        empty.origin().clone(),
        empty.network().clone(),
        [(MetricName::routingcost(), Costs::Dense(Arc::new(matrix)))].into(),
        empty.properties().clone(),
    )
}

fn cost_type(metric: &str, mode: CostMode) -> CostType {
    CostType::new(&MetricName::new(metric).expect("a metric"), mode)
}

/// All costs of these types.
fn table(content: &Content, wanted: Vec<CostType>) -> Table {
    let selection = CostSelection {
        multi: wanted.len() > 1,
        wanted,
        conditions: Conditions::default(),
    };
    Table::new(selection, Side::all(content), Side::all(content))
}

/// All rows, each as its layers.
fn rows(content: &Content, mut table: Table) -> Vec<Vec<Vec<f64>>> {
    table.prepare_all(content);
    let mut block = Block::default();
    let row = |row| {
        let row = table.row(content, row, &mut block);
        row.0.iter().map(|layer| layer.to_vec()).collect()
    };
    (0..table.srcs.len()).map(row).collect()
}

#[test]
fn a_metric_that_the_view_lacks_has_no_costs() {
    let content = with_costs(3);
    let wanted = vec![
        cost_type("routingcost", CostMode::Numerical),
        cost_type("hopcount", CostMode::Numerical),
    ];
    let rows = rows(&content, table(&content, wanted));
    for (src, layers) in rows.iter().enumerate() {
        let stated = (3 * src) as f64;
        assert_eq!(layers[0], [stated, stated + 1.0, stated + 2.0]);
        assert_eq!(layers[1].len(), 3);
        assert!(layers[1].iter().all(|cost| cost.is_nan()));
    }
}

#[test]
fn ordinal_costs_are_ranked_before_any_row_is_read() {
    // More cells than a block has, so that ranking takes several steps.
    const PIDS: usize = 150;
    let content = with_costs(PIDS);
    let mut ordinal = table(&content, vec![cost_type("routingcost", CostMode::Ordinal)]);
    let mut block = Block::default();
    assert!(
        !ordinal.prepare(&content, &mut block),
        "it is not ranked yet"
    );
    // The costs ascend cell by cell, so that each is its own rank.
    let rows = rows(&content, ordinal);
    for (src, layers) in rows.iter().enumerate() {
        let expected: Vec<f64> = (0..PIDS).map(|dst| (src * PIDS + dst) as f64).collect();
        assert_eq!(layers[..], [expected]);
    }
}

#[test]
fn an_ordinal_cost_is_read_twice_and_ranked_in_twice_its_memory() {
    let content = with_costs(10);
    let work = |mode| table(&content, vec![cost_type("routingcost", mode)]).work(&content);
    let (numerical, ordinal) = (work(CostMode::Numerical), work(CostMode::Ordinal));
    assert_eq!(numerical.cells, 100);
    assert_eq!(ordinal.cells, 200);
    assert_eq!(ordinal.bytes, numerical.bytes);
    assert_eq!(ordinal.memory - numerical.memory, 2 * 8 * 100);
}

#[test]
fn each_wanted_cost_counts_with_eight_bytes() {
    let content = with_costs(10);
    let numerical = cost_type("routingcost", CostMode::Numerical);
    let ordinal = cost_type("routingcost", CostMode::Ordinal);
    let one = table(&content, vec![numerical.clone()]).work(&content);
    let two = table(&content, vec![numerical, ordinal]).work(&content);
    assert_eq!(two.bytes - one.bytes, 8 * 100);
    // A name with its quotes, colon and comma, once for each row and ten times in each.
    let name = "\"p0000\":,".len() as u64;
    assert_eq!(one.bytes, 10 * name + 10 * (10 * name + 10 * 8));
}

#[test]
fn a_block_of_costs_counts_as_memory() {
    let content = with_costs(3);
    let wanted = vec![cost_type("routingcost", CostMode::Numerical)];
    let work = table(&content, wanted).work(&content);
    assert!(work.memory >= (BLOCK * size_of::<f64>()) as u64, "{work:?}");
}
