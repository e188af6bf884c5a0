//! The engine, driven as its users drive it: a configuration text in, bytes in, final rows out.

use crate::adversary::{self, World, csv_header};
use crate::oracle::content::Stood;
use crate::oracle::{Fact, Truth, refusal, truth};
use crate::rng::Rng;
use crate::world::{Format, Stage};
use slackwater::decode::{Chunk, Damaged, Decoder, Header, csv};
use slackwater::face::config::{self, Config};
use slackwater::runtime::Feed;
use slackwater::runtime::engine::{self, Arrangement, Folded};
use slackwater::runtime::gauge::Gauge;
use slackwater_core::input::{Batch, Decoded};
use slackwater_core::quarantine::Quarantined;
use std::sync::Arc;

/// A stage that the engine has compiled.
pub struct Compiled {
    /// The configuration.
    pub config: Config,
    headers: Vec<Option<Header>>,
}

/// Compiles a stage from the text of its configuration.
///
/// # Panics
/// When the engine refuses it: the adversary says only what the design allows.
pub fn compile(stage: &Stage) -> Compiled {
    let text = adversary::config(stage);
    let config = match config::load(&text, "sim.toml") {
        Ok(config) => config,
        Err(errors) => panic!("a sound configuration was refused:\n{errors}\n{text}"),
    };
    let header = |(source, compiled): (&crate::world::Source, &slackwater_core::plan::Source)| {
        let text = csv_header(source);
        let parse = || csv::Header::parse(text.as_bytes(), &compiled.schema).expect("a header");
        (source.format == Format::Csv).then(|| Header::Csv(Arc::new(parse())))
    };
    let headers = stage.sources.iter().zip(&config.plan.sources).map(header).collect();
    Compiled { config, headers }
}

/// The bytes of events, with their sources.
#[derive(Clone, Debug)]
pub struct Spelled {
    /// Source and bytes of each event.
    pub events: Vec<(usize, Vec<u8>)>,
    /// Ends of lines in each.
    pub lines: Vec<u64>,
}

/// Spells every event of a world.
pub fn spell(world: &World) -> Spelled {
    let mut rng = Rng::new(world.seed ^ 0x5be1);
    let bytes = |event: &crate::world::Event| {
        (event.source, adversary::spell(&mut rng, &world.stage.sources[event.source], event))
    };
    let events: Vec<(usize, Vec<u8>)> = world.events.iter().map(bytes).collect();
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    let lines = events.iter().map(|(_, bytes)| lines(bytes)).collect();
    Spelled { events, lines }
}

/// Events cut into chunks of so many, one file for each source.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The chunks in the order in which they are read.
    pub chunks: Vec<Chunk>,
    /// Where each event stood, in the order that was asked for.
    pub stood: Vec<Stood>,
}

impl Compiled {
    /// Lays the events out in an order and cuts them into chunks of at most `batch` events.
    pub fn cut(&self, spelled: &Spelled, order: &[usize], batch: usize) -> Cut {
        let mut at = vec![(0u64, 1u64); self.headers.len()];
        let mut cut = Cut { chunks: Vec::new(), stood: Vec::new() };
        let mut held = 0;
        for number in order {
            let (source, bytes) = &spelled.events[*number];
            let part = format!("file{source}");
            let (offset, line) = at[*source];
            cut.stood.push(Stood { part: part.clone(), offset });
            at[*source] = (offset + bytes.len() as u64, line + spelled.lines[*number]);
            match cut.chunks.last_mut() {
                Some(last) if usize::from(last.source) == *source && held < batch => last.bytes.extend(bytes),
                _ => {
                    held = 0;
                    let header = self.headers[*source].clone();
                    let source = *source as u16;
                    cut.chunks.push(Chunk {
                        source,
                        part: part.into(),
                        offset,
                        line,
                        bytes: bytes.clone(),
                        header,
                        arrival: None,
                    });
                }
            }
            held += 1;
        }
        cut
    }

    /// A file of one source, of these events, as chunks of at most `batch` of them.
    pub fn file(&self, spelled: &Spelled, part: &str, events: &[usize], batch: usize) -> Vec<Chunk> {
        let (mut chunks, mut offset, mut line) = (Vec::new(), 0, 1);
        for events in events.chunks(batch.max(1)) {
            let source = spelled.events[events[0]].0;
            let header = self.headers[source].clone();
            let bytes = Vec::with_capacity(events.iter().map(|number| spelled.events[*number].1.len()).sum());
            let mut chunk =
                Chunk { source: source as u16, part: part.into(), offset, line, bytes, header, arrival: None };
            events.iter().for_each(|number| chunk.bytes.extend_from_slice(&spelled.events[*number].1));
            offset += chunk.bytes.len() as u64;
            line += events.iter().map(|number| spelled.lines[*number]).sum::<u64>();
            chunks.push(chunk);
        }
        chunks
    }

    /// A decoder of a source.
    pub fn decoder(&self, source: usize) -> Decoder<'_> {
        Decoder::new(&self.config.plan.sources[source], self.config.sources[source].format)
    }

    /// Decodes chunks one by one.
    pub fn decode(&self, chunks: &[Chunk]) -> Vec<Batch> {
        chunks.iter().map(|chunk| self.decoder(usize::from(chunk.source)).decode(chunk)).collect()
    }

    /// Folds chunks to the end; gives the rows and what was set aside.
    pub fn fold(&self, chunks: Vec<Chunk>, threads: usize, shards: usize) -> (Folded, Vec<Quarantined>) {
        let formats: Vec<_> = self.config.sources.iter().map(|source| source.format).collect();
        let feeds = vec![Chunks(chunks.into())];
        let mut aside = Vec::new();
        let put_aside = |events: &[Quarantined]| {
            aside.extend_from_slice(events);
            Ok::<(), Damaged>(())
        };
        let arrangement = Arrangement { threads, shards };
        let folded = engine::fold(&self.config.plan, &formats, feeds, arrangement, &Gauge::default(), put_aside);
        let folded = folded.expect("records are refused, never damaged");
        (folded, aside)
    }
}

/// What first tells the refusals of single events from those that their logic asks for.
pub fn refusals(world: &World, compiled: &Compiled, spelled: &Spelled) -> Result<(), String> {
    let order: Vec<usize> = (0..world.events.len()).collect();
    let batches = compiled.decode(&compiled.cut(spelled, &order, 1).chunks);
    for (number, batch) in batches.iter().enumerate() {
        let event = &world.events[number];
        let found: Vec<_> = batch
            .entries()
            .iter()
            .map(|entry| match &entry.decoded {
                Decoded::Refused(refusal) => Some(refusal.reason),
                Decoded::Row(_) => None,
            })
            .collect();
        let wanted = refusal(&world.stage.sources[event.source], event);
        if found != [wanted] {
            let text = String::from_utf8_lossy(&spelled.events[number].1).into_owned();
            return Err(format!("event {number} was refused as {found:?} and not {wanted:?}: {event:?}\n{text}"));
        }
    }
    Ok(())
}

/// Chunks from memory.
#[derive(Debug)]
pub struct Chunks(pub std::collections::VecDeque<Chunk>);

impl Feed for Chunks {
    type Error = Damaged;

    fn next(&mut self) -> Result<Option<Chunk>, Damaged> {
        Ok(self.0.pop_front())
    }

    fn read(&self) -> u64 {
        0
    }
}

/// One digest over rows in output order.
pub fn root(folded: &Folded) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for row in &folded.finals {
        hasher.update(&row.digest);
    }
    *hasher.finalize().as_bytes()
}

/// The truth about a world whose events stood where a cut put them.
pub fn truth_of(world: &World, order: &[usize], stood: &[Stood]) -> Truth {
    let decoder = slackwater::decode::Format::Json.decoder_version();
    let facts: Vec<Fact<'_>> = order
        .iter()
        .zip(stood)
        .map(|(number, stood)| Fact { event: &world.events[*number], stood, decoder, freed: false })
        .collect();
    truth(&world.stage, &facts)
}
