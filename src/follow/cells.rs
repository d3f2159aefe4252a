//! Counts how much is followed in cells, in total and for each client.

use std::collections::HashMap;

use crate::ident::Client;
use crate::publish::{Query, Work};

use super::moves::AnswerId;
use super::settings::Settings;

/// How many bytes of a query count as a cell: queries are kept, and read again with each change.
const QUERY: usize = 8;

/// Returns how many cells an answer counts for.
pub(super) fn cells_of(query: &Query, work: &Work) -> u64 {
    let of_query = query.bytes().div_ceil(QUERY) as u64;
    work.cells.max(of_query).max(1)
}

/// The cells that are followed.
#[derive(Debug, Default)]
pub(super) struct Cells {
    all: u64,
    of_client: HashMap<Client, u64>,
}

/// How many cells an answer counts for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) id: AnswerId,
    /// The client that was the first to follow it.
    pub(super) owner: Option<Client>,
    pub(super) cells: u64,
}

impl Cells {
    /// Counts the cells of some answers.
    pub(super) fn of(answers: impl Iterator<Item = Counted>) -> Self {
        let mut cells = Self::default();
        answers.for_each(|answer| cells.add(answer.owner, answer.cells));
        cells
    }

    /// Returns the cells of all answers.
    pub(super) fn all(&self) -> u64 {
        self.all
    }

    /// Counts an answer.
    pub(super) fn add(&mut self, owner: Option<Client>, cells: u64) {
        self.all = self.all.saturating_add(cells);
        if let Some(client) = owner {
            let of_client = self.of_client.entry(client).or_default();
            *of_client = of_client.saturating_add(cells);
        }
    }

    /// Returns which limit an answer of `cells` more cells would exceed, for people; none if it
    /// exceeds no limit.
    pub(super) fn over(
        &self,
        owner: Option<Client>,
        cells: u64,
        settings: &Settings,
    ) -> Option<String> {
        let of_client = owner.and_then(|client| self.of_client.get(&client));
        let of_client = of_client.unwrap_or(&0).saturating_add(cells);
        let all = self.all.saturating_add(cells);
        let limits = [
            (
                "the answers of this client come",
                of_client,
                settings.max_cells_per_client,
                "updates.max_cells_per_client",
            ),
            (
                "all answers come",
                all,
                settings.max_followed_cells,
                "updates.max_followed_cells",
            ),
        ];
        let mut over = limits
            .into_iter()
            .filter(|(_, asked, most, _)| asked > most);
        over.next().map(|(what, asked, most, limit)| {
            format!("{what} to {asked} cells; at most {most} are followed ({limit}): follow less")
        })
    }

    /// Returns the answers that exceed a limit when all are counted in the order in which they
    /// were opened, and why.
    pub(super) fn over_in_turn(
        answers: impl Iterator<Item = Counted>,
        settings: &Settings,
    ) -> Vec<(AnswerId, String)> {
        let mut answers: Vec<Counted> = answers.filter(|answer| answer.cells > 0).collect();
        answers.sort_unstable_by_key(|answer| answer.id);
        let mut cells = Self::default();
        let over = answers.into_iter().filter_map(|answer| {
            let why = cells.over(answer.owner, answer.cells, settings);
            if why.is_none() {
                cells.add(answer.owner, answer.cells);
            }
            Some((answer.id, why?))
        });
        over.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn client(last: u8) -> Option<Client> {
        Some(Client::from(IpAddr::from([192, 0, 2, last])))
    }

    #[test]
    fn what_has_grown_over_a_share_ends_from_the_one_that_was_opened_last() {
        let settings = Settings {
            max_cells_per_client: 100,
            max_followed_cells: 150,
            ..Settings::default()
        };
        let over = |answers: &[(u64, Option<Client>, u64)]| -> Vec<(u64, bool)> {
            let counted = answers.iter().map(|&(id, owner, cells)| Counted {
                id: AnswerId(id),
                owner,
                cells,
            });
            let over = Cells::over_in_turn(counted, &settings).into_iter();
            over.map(|(id, why)| (id.0, why.contains("of this client")))
                .collect()
        };
        assert_eq!(over(&[(3, client(1), 50), (1, client(1), 50)]), []);
        // Of one client: the second answer does not fit, a smaller one after it does.
        assert_eq!(
            over(&[(3, client(1), 20), (2, client(1), 81), (1, client(1), 80)]),
            [(2, true)]
        );
        // Of all clients; what is not counted never ends.
        assert_eq!(
            over(&[
                (1, client(1), 90),
                (2, client(2), 61),
                (3, client(3), 60),
                (4, None, 0)
            ]),
            [(2, false)]
        );
    }

    #[test]
    fn shares_are_counted_by_client() {
        let settings = Settings {
            max_cells_per_client: 100,
            max_followed_cells: 150,
            ..Settings::default()
        };
        let mut cells = Cells::default();
        cells.add(client(1), 90);
        let is_over = |cells: &Cells, owner, more| cells.over(owner, more, &settings).is_some();
        assert!(!is_over(&cells, client(1), 10) && is_over(&cells, client(1), 11));
        assert!(!is_over(&cells, client(2), 60) && is_over(&cells, client(2), 61));
        assert_eq!(cells.all(), 90);
    }
}
