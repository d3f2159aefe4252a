//! What is measured of the node: numbers with names, independent of who shows them.

/// A part of the node that can be measured.
pub trait Measured {
    /// Adds its measures, as they are now.
    fn measure(&self, out: &mut Measures);
}

/// Measures of several parts, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Measures(Vec<Measure>);

/// A measure: one number, or one for each set of labels.
#[derive(Debug)]
pub struct Measure {
    /// Its name: `altofed_<module>_<noun>_<unit>`.
    pub name: &'static str,
    /// What it means, for people.
    pub help: &'static str,
    /// How it changes.
    pub kind: MeasureKind,
    /// The numbers.
    pub samples: Vec<Sample>,
}

/// How a measure changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasureKind {
    /// It only grows while the process runs.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A number of a measure.
#[derive(Debug)]
pub struct Sample {
    /// The names and values of its labels. Values come from a bounded set.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: Value,
}

/// The number of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A count.
    Count(u64),
    /// A time in seconds.
    Seconds(f64),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Value::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Value::Count(count as u64)
    }
}

impl From<std::time::Duration> for Value {
    fn from(time: std::time::Duration) -> Self {
        Value::Seconds(time.as_secs_f64())
    }
}

impl Measures {
    /// Iterates over the measures.
    pub fn iter(&self) -> impl Iterator<Item = &Measure> {
        self.0.iter()
    }

    /// Adds a number that only grows.
    pub fn counter(&mut self, name: &'static str, help: &'static str, value: impl Into<Value>) {
        self.add(name, help, MeasureKind::Counter, [unlabelled(value)]);
    }

    /// Adds a number that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: impl Into<Value>) {
        self.add(name, help, MeasureKind::Gauge, [unlabelled(value)]);
    }

    /// Adds numbers that only grow, one for each value of a label.
    pub fn counters<V: Into<Value>>(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (impl Into<String>, V)>,
    ) {
        let samples = by_label(label, values);
        self.add(name, help, MeasureKind::Counter, samples);
    }

    /// Adds numbers that go up and down, one for each value of a label.
    pub fn gauges<V: Into<Value>>(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (impl Into<String>, V)>,
    ) {
        let samples = by_label(label, values);
        self.add(name, help, MeasureKind::Gauge, samples);
    }

    /// Adds a measure.
    pub fn add(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: MeasureKind,
        samples: impl IntoIterator<Item = Sample>,
    ) {
        self.0.push(Measure {
            name,
            help,
            kind,
            samples: samples.into_iter().collect(),
        });
    }
}

fn unlabelled(value: impl Into<Value>) -> Sample {
    Sample {
        labels: Vec::new(),
        value: value.into(),
    }
}

fn by_label<V: Into<Value>>(
    label: &'static str,
    values: impl IntoIterator<Item = (impl Into<String>, V)>,
) -> impl Iterator<Item = Sample> {
    let samples = values.into_iter();
    samples.map(move |(of, value)| Sample {
        labels: vec![(label, of.into())],
        value: value.into(),
    })
}
