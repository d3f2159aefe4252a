//! An endpoint cost service as one would write it at first: with trees of maps, and JSON values.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::data;

struct Naive {
    pids: BTreeMap<IpNet, String>,
    costs: BTreeMap<String, BTreeMap<String, f64>>,
}

/// Serves the documents in a directory at an address.
pub fn serve(directory: &Path, address: &str) {
    let naive = Arc::new(Naive::read(directory));
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.expect("a free address");
        println!("listening");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let naive = naive.clone();
            let service = service_fn(move |request| answer(naive.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
}

async fn answer(
    naive: Arc<Naive>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.expect("a whole body");
    let request = serde_json::from_slice(&body.to_bytes()).expect("a sound request");
    let answer = serde_json::to_vec(&naive.costs(&request)).expect("values are JSON");
    let response = Response::builder()
        .header("content-type", altofed::alto::media::ENDPOINT_COSTS)
        .body(Full::from(answer));
    Ok(response.expect("a sound header"))
}

impl Naive {
    fn read(directory: &Path) -> Self {
        let read = |name| -> Value {
            serde_json::from_slice(&data::file(directory, name)).expect("a document")
        };
        let (network, costs) = (read("network-map.json"), read("cost-map.json"));
        let mut pids = BTreeMap::new();
        for (pid, families) in network["network-map"].as_object().expect("PIDs") {
            let families = families.as_object().expect("address types").values();
            for prefix in families.flat_map(|list| list.as_array().expect("prefixes")) {
                let prefix = prefix.as_str().expect("a prefix").parse();
                pids.insert(prefix.expect("a prefix"), pid.clone());
            }
        }
        Self {
            pids,
            costs: serde_json::from_value(costs["cost-map"].clone()).expect("costs"),
        }
    }

    fn costs(&self, request: &Value) -> Value {
        let side = |name: &str| {
            let list = request["endpoints"][name].as_array().expect("endpoints");
            let endpoints = list.iter().map(|text| text.as_str().expect("an endpoint"));
            endpoints
                .map(|text| (text, self.pid(text)))
                .collect::<Vec<_>>()
        };
        let (srcs, dsts) = (side("srcs"), side("dsts"));
        let mut costs = Map::new();
        for (src, src_pid) in &srcs {
            let mut row = Map::new();
            for (dst, dst_pid) in &dsts {
                let pids = src_pid.zip(*dst_pid);
                let cost = pids.and_then(|(src, dst)| self.costs.get(src)?.get(dst));
                if let Some(cost) = cost {
                    row.insert((*dst).to_owned(), json!(cost));
                }
            }
            costs.insert((*src).to_owned(), Value::Object(row));
        }
        json!({"endpoint-cost-map": costs, "meta": {"cost-type": request["cost-type"]}})
    }

    /// Finds the PID with the longest prefix over an endpoint, by trying each length.
    fn pid(&self, endpoint: &str) -> Option<&str> {
        let (_, address) = endpoint.split_once(':').expect("a typed address");
        let address: IpAddr = address.parse().expect("an address");
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = |len| IpNet::new_assert(address, len).trunc();
        (0..=longest)
            .rev()
            .find_map(|len| self.pids.get(&prefix(len)))
            .map(String::as_str)
    }
}
