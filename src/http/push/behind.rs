//! Which substreams of a stream may be behind.
//!
//! A stream of a peer has hundreds of substreams, and there are hundreds of such streams. For a
//! change to cost no more than what is sent of it, only substreams of what moved may be checked.

use std::collections::BTreeSet;

use crate::follow::{AnswerId, Moved};
use crate::ident::DomainLabel;

/// What a substream follows.
pub(super) enum Watched<'s> {
    /// An answer, or the summary of its TIPS view.
    Answer(AnswerId),
    /// The manifest of a domain.
    Manifest(&'s DomainLabel),
    /// The list of domains.
    Domains,
}

/// The substreams of a stream that may be behind, by their places.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// The places of the substreams of each answer, in order.
    answers: Vec<(AnswerId, usize)>,
    /// The places of the substreams of each manifest, in order.
    manifests: Vec<(DomainLabel, usize)>,
    lists: Vec<usize>,
    count: usize,
    places: BTreeSet<usize>,
}

impl Behind {
    /// Starts with these substreams, all of which may be behind.
    pub(super) fn all_of<'s>(watched: impl Iterator<Item = Watched<'s>>) -> Self {
        let mut behind = Self::default();
        for (place, watched) in watched.enumerate() {
            match watched {
                Watched::Answer(id) => behind.answers.push((id, place)),
                Watched::Manifest(domain) => behind.manifests.push((domain.clone(), place)),
                Watched::Domains => behind.lists.push(place),
            }
            behind.count += 1;
        }
        behind.answers.sort_unstable();
        behind.manifests.sort_unstable();
        behind.all();
        behind
    }

    /// Notes that any of them may be behind.
    pub(super) fn all(&mut self) {
        self.places = (0..self.count).collect();
    }

    /// Notes that the substreams of what moved may be behind.
    pub(super) fn follow<'m>(&mut self, moves: impl Iterator<Item = &'m Moved> + Clone) {
        // If there are fewer substreams than moves, checking all of them is faster.
        let moved: usize = moves.clone().map(Moved::count).sum();
        if moved >= self.count {
            let is_moved = moves.clone().any(|moved| moved.count() > 0);
            return if is_moved {
                self.all()
            };
        }
        for moved in moves {
            for id in &moved.answers {
                let first = self.answers.partition_point(|(other, _)| other < id);
                let those = self.answers[first..].iter();
                let those = those.take_while(|(other, _)| other == id);
                self.places.extend(those.map(|(_, place)| place));
            }
            for domain in &moved.documents {
                let first = self.manifests.partition_point(|(other, _)| other < domain);
                let those = self.manifests[first..].iter();
                let those = those.take_while(|(other, _)| other == domain);
                self.places.extend(those.map(|(_, place)| place));
            }
            if moved.is_another_list {
                self.relist();
            }
        }
    }

    /// Notes that the lists of domains may be behind.
    pub(super) fn relist(&mut self) {
        self.places.extend(&self.lists);
    }

    /// Returns the first place that may be behind.
    pub(super) fn first(&self) -> Option<usize> {
        self.places.first().copied()
    }

    /// Notes that the substream at a place is not behind.
    pub(super) fn is_level(&mut self, place: usize) {
        self.places.remove(&place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(number: usize) -> DomainLabel {
        DomainLabel::new(&format!("n{number:03}")).expect("a label")
    }

    fn answer(number: usize) -> AnswerId {
        AnswerId(number as u64)
    }

    /// Makes the stream of a peer of `domains` domains: two maps of each, their manifests, and
    /// the list.
    fn stream(domains: usize) -> Behind {
        let labels: Vec<DomainLabel> = (0..domains).map(label).collect();
        let maps = (0..2 * domains).map(|number| Watched::Answer(answer(number)));
        let manifests = labels.iter().map(Watched::Manifest);
        Behind::all_of(maps.chain(manifests).chain([Watched::Domains]))
    }

    /// Returns the places that are checked until none is behind.
    fn looks(behind: &mut Behind) -> Vec<usize> {
        let mut looks = Vec::new();
        while let Some(place) = behind.first() {
            looks.push(place);
            behind.is_level(place);
        }
        looks
    }

    #[test]
    fn a_new_stream_may_be_behind_everywhere() {
        let mut behind = stream(10);
        assert_eq!(looks(&mut behind), (0..31).collect::<Vec<_>>());
        behind.all();
        assert_eq!(looks(&mut behind).len(), 31);
    }

    #[test]
    fn a_change_of_one_domain_has_it_looked_at_alone_however_many_there_are() {
        for domains in [10, 50, 100] {
            let mut behind = stream(domains);
            looks(&mut behind);
            let moved = Moved {
                answers: vec![answer(7)],
                documents: vec![label(3)],
                is_another_list: false,
            };
            behind.follow([moved].iter());
            assert_eq!(looks(&mut behind), [7, 2 * domains + 3]);
            behind.follow([Moved::default()].iter());
            assert_eq!(looks(&mut behind), [0; 0]);
        }
    }

    #[test]
    fn the_list_is_looked_at_when_domains_come_or_go() {
        let mut behind = stream(10);
        looks(&mut behind);
        let moved = Moved {
            documents: vec![label(99)],
            is_another_list: true,
            ..Moved::default()
        };
        behind.follow([moved].iter());
        assert_eq!(looks(&mut behind), [30]);
        behind.relist();
        assert_eq!(looks(&mut behind), [30]);
    }

    #[test]
    fn all_substreams_of_an_answer_are_looked_at() {
        let watched = [5, 3, 5, 4, 5, 6].map(|number| Watched::Answer(answer(number)));
        let mut behind = Behind::all_of(watched.into_iter());
        looks(&mut behind);
        let moved = Moved {
            answers: vec![answer(5), answer(9)],
            ..Moved::default()
        };
        behind.follow([moved].iter());
        assert_eq!(looks(&mut behind), [0, 2, 4]);
    }

    #[test]
    fn who_has_few_substreams_looks_at_them_rather_than_at_all_that_moved() {
        let mut behind = Behind::all_of([Watched::Answer(answer(3))].into_iter());
        looks(&mut behind);
        let moved = Moved {
            answers: (1000..2000).map(answer).collect(),
            ..Moved::default()
        };
        behind.follow([moved].iter());
        assert_eq!(looks(&mut behind), [0]);
    }
}
