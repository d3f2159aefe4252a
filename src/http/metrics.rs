//! Writes the measures as Prometheus reads them.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::runtime::{Measure, MeasureKind, Measured, Measures, Value};

/// Measures the node whenever the metrics are requested.
pub struct Metrics(pub Box<dyn Fn() -> Box<dyn Measured> + Send + Sync>);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut measures = Measures::default();
        (self.0)().measure(&mut measures);
        measures
            .iter()
            .try_for_each(|measure| write(measure, &mut encoder))
    }
}

fn write(measure: &Measure, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let kind = match measure.kind {
        MeasureKind::Counter => MetricType::Counter,
        MeasureKind::Gauge => MetricType::Gauge,
    };
    let mut family = encoder.encode_descriptor(measure.name, measure.help, None, kind)?;
    for sample in &measure.samples {
        if sample.labels.is_empty() {
            write_value(measure.kind, sample.value, family)?;
            return Ok(());
        }
        write_value(
            measure.kind,
            sample.value,
            family.encode_family(&sample.labels)?,
        )?;
    }
    Ok(())
}

fn write_value(
    kind: MeasureKind,
    value: Value,
    encoder: MetricEncoder<'_>,
) -> Result<(), fmt::Error> {
    match (kind, value) {
        (MeasureKind::Counter, Value::Count(count)) => ConstCounter::new(count).encode(encoder),
        (MeasureKind::Counter, Value::Seconds(time)) => ConstCounter::new(time).encode(encoder),
        (MeasureKind::Gauge, Value::Count(count)) => {
            ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX)).encode(encoder)
        }
        (MeasureKind::Gauge, Value::Seconds(time)) => ConstGauge::new(time).encode(encoder),
    }
}
