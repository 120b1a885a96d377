//! The old lines of docs/migrate/iqdb.md, in the order of the page, and how long iQDB takes for what `bench/run.py
//! python` asks of hither: `from-iqdb FOLDER [ROWS]`.

use iqdb::{DistanceMetric, Filter, Iqdb, Result, Value, Vector, VectorId};
use std::path::Path;
use std::time::Instant;

fn page(folder: &Path) -> Result<()> {
    let path = folder.join("topics.iqdb");
    //@page
    let memory = Iqdb::open_in_memory(3, DistanceMetric::Cosine)?;
    let db = Iqdb::open(&path, 3, DistanceMetric::Euclidean)?;
    //@page
    let rows: [(u64, [f32; 3], &str); 3] =
        [(1, [1.0, 0.0, 0.0], "rust"), (2, [0.0, 1.0, 0.0], "c"), (3, [0.0, 0.0, 1.0], "rust")];
    for (id, vector, language) in rows {
        let meta = [("language".to_string(), Value::String(language.to_string()))].into_iter().collect();
        db.upsert(VectorId::from(id), Vector::new(vector.to_vec())?, Some(meta))?;
    }
    let (vector, _meta) = db.get(&VectorId::from(2u64))?.unwrap();
    assert_eq!(vector.as_slice(), &[0.0, 1.0, 0.0]);
    assert!(db.delete(&VectorId::from(2u64))?);
    assert_eq!(db.len(), 2);
    //@page
    let query = Vector::new(vec![0.1, 0.0, 0.9])?;
    let hits = db.search(&query, 2)?;
    assert_eq!(hits[0].id, VectorId::from(3u64));
    let only = Filter::eq("language", Value::String("rust".to_string()));
    assert_eq!(db.search_with(&query, 5, only)?.len(), 2);
    assert_eq!(db.search_batch(&[query.clone(), query.clone()], 1)?.len(), 2);
    //@page
    db.flush()?;
    db.close()?;
    //@end
    memory.close()
}

/// Numbers from a seed, as good as any to be compared.
fn numbers(seed: &mut u64, count: usize) -> Vec<f32> {
    (0..count)
        .map(|_| {
            *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((*seed >> 40) as f32) / ((1u64 << 23) as f32) - 1.0
        })
        .collect()
}

/// P50 of a search for ten among 384-dimensional rows in memory, and durable upserts a second, as JSON.
fn measured(folder: &Path, rows: usize) -> Result<()> {
    let mut seed = 7;
    let db = Iqdb::open_in_memory(384, DistanceMetric::Cosine)?;
    for id in 0..rows {
        db.upsert(VectorId::from(id as u64), Vector::new(numbers(&mut seed, 384))?, None)?;
    }
    let mut took: Vec<f64> = Vec::new();
    for _ in 0..200 {
        let query = Vector::new(numbers(&mut seed, 384))?;
        let began = Instant::now();
        assert_eq!(db.search(&query, 10)?.len(), 10);
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(|a, b| a.total_cmp(b));
    let durable = Iqdb::open(folder.join("durable.iqdb"), 384, DistanceMetric::Cosine)?;
    let began = Instant::now();
    for id in 0..2000u64 {
        durable.upsert(VectorId::from(id), Vector::new(numbers(&mut seed, 384))?, None)?;
    }
    let rate = 2000.0 / began.elapsed().as_secs_f64();
    println!("{{\"version\": \"1.0.0\", \"search_p50_ms\": {:.4}, \"durable_per_s\": {:.0}}}", took[100], rate);
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = Path::new(&arguments[1]);
    page(folder)?;
    match arguments.get(2) {
        Some(rows) => measured(folder, rows.parse().expect("a number of rows")),
        None => Ok(()),
    }
}
