//! The text format of Prometheus, version 0.0.4: families with their help and type, each said once.

use campanile_journal::HistogramReading;
use std::fmt::{Display, Write};

/// A family of metrics, as it is declared beside the code that fills it.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

impl Family {
    pub(crate) const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: "gauge", labels, help }
    }

    pub(crate) const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: "counter", labels, help }
    }

    pub(crate) const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: "histogram", labels, help }
    }
}

/// Seconds in a microsecond.
pub(crate) const US: f64 = 1e-6;

/// The text while it grows, and the families that stand in it.
#[derive(Default)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) families: Vec<&'static Family>,
}

impl Text {
    /// Begins a family; its samples follow, and no other family's.
    pub(crate) fn begin(&mut self, family: &'static Family) {
        let Family { name, kind, help, .. } = family;
        self.families.push(family);
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A family of one sample without labels.
    pub(crate) fn one(&mut self, family: &'static Family, value: impl Display) {
        self.begin(family);
        self.sample(&[], value);
    }

    /// A sample of the family that was begun last; the values stand for its labels in their order.
    pub(crate) fn sample(&mut self, values: &[&str], value: impl Display) {
        let family = *self.families.last().expect("a family is begun before its samples");
        self.line(family, "", values, None, value);
    }

    /// A histogram of the family that was begun last; `unit` is what one of the reading's units is in the family's.
    pub(crate) fn histogram(&mut self, values: &[&str], reading: &HistogramReading, unit: f64) {
        let family = *self.families.last().expect("a family is begun before its samples");
        let mut total = 0;
        let bounds = reading.bounds.iter().map(|bound| number(*bound as f64 * unit)).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&reading.counts) {
            total += count;
            self.line(family, "_bucket", values, Some(&bound), total);
        }
        self.line(family, "_sum", values, None, number(reading.sum as f64 * unit));
        self.line(family, "_count", values, None, total);
    }

    fn line(&mut self, family: &Family, suffix: &str, values: &[&str], bound: Option<&str>, value: impl Display) {
        assert_eq!(values.len(), family.labels.len(), "{} has other labels", family.name);
        let pairs = family.labels.iter().copied().zip(values.iter().copied()).chain(bound.map(|bound| ("le", bound)));
        let labels: Vec<String> = pairs.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let braces = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{}{suffix}{braces} {value}", family.name);
    }
}

/// A number without the noise that a multiplication leaves behind.
fn number(value: f64) -> String {
    ((value * 1e9).round() / 1e9).to_string()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
