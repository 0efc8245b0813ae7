//! The other side of the protocol, played by the `voprf` crate (RFC 9497, ristretto255-SHA512,
//! mode VOPRF). Talks in lines of hex on standard input and output; a list ends with an
//! empty line.
//!
//! `client <public key>`: reads items; prints blinded elements; reads evaluated elements and
//! a proof; prints outputs, or fails.
//! `server <secret key>`: reads blinded elements; prints evaluated elements and a proof; reads
//! items; prints the outputs of evaluating them directly.

use std::{
    error::Error,
    io::{self, BufRead, Write},
};

use rand::rngs::OsRng;
use voprf::{
    BlindedElement, EvaluationElement, Group, Proof, Ristretto255, VoprfClient, VoprfServer,
};

type Suite = Ristretto255;
type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().ok_or("which role?")?;
    let key = hex::decode(arguments.next().ok_or("which key?")?)?;
    match role.as_str() {
        "client" => client(&key),
        "server" => server(&key),
        _ => Err("no such role".into()),
    }
}

fn client(public_key: &[u8]) -> Result<(), Failure> {
    let public_key = <Suite as Group>::deserialize_elem(public_key).map_err(debug)?;
    let items = read_list()?;
    let mut clients = Vec::new();
    let mut blinded = Vec::new();
    for item in &items {
        let result = VoprfClient::<Suite>::blind(item, &mut OsRng).map_err(debug)?;
        blinded.push(result.message.serialize().to_vec());
        clients.push(result.state);
    }
    print_list(&blinded)?;
    let evaluated = read_list()?
        .iter()
        .map(|element| EvaluationElement::<Suite>::deserialize(element).map_err(debug))
        .collect::<Result<Vec<_>, _>>()?;
    let proof = read_list()?.pop().ok_or("no proof")?;
    let proof = Proof::<Suite>::deserialize(&proof).map_err(debug)?;
    let outputs = VoprfClient::batch_finalize(&items, &clients, &evaluated, &proof, public_key)
        .map_err(debug)?
        .map(|output| output.map(|output| output.to_vec()).map_err(debug))
        .collect::<Result<Vec<_>, _>>()?;
    print_list(&outputs)
}

fn server(secret_key: &[u8]) -> Result<(), Failure> {
    let server = VoprfServer::<Suite>::new_with_key(secret_key).map_err(debug)?;
    let blinded = read_list()?
        .iter()
        .map(|element| BlindedElement::<Suite>::deserialize(element).map_err(debug))
        .collect::<Result<Vec<_>, _>>()?;
    let answer = server
        .batch_blind_evaluate(&mut OsRng, &blinded)
        .map_err(debug)?;
    let evaluated: Vec<_> = answer
        .messages
        .iter()
        .map(|e| e.serialize().to_vec())
        .collect();
    print_list(&evaluated)?;
    print_list(&[answer.proof.serialize().to_vec()])?;
    let outputs = read_list()?
        .iter()
        .map(|item| {
            server
                .evaluate(item)
                .map(|output| output.to_vec())
                .map_err(debug)
        })
        .collect::<Result<Vec<_>, _>>()?;
    print_list(&outputs)
}

fn debug(error: impl std::fmt::Debug) -> Failure {
    format!("{error:?}").into()
}

fn read_list() -> Result<Vec<Vec<u8>>, Failure> {
    let mut list = Vec::new();
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "" => return Ok(list),
            text => list.push(hex::decode(text)?),
        }
    }
    Err("the list has no end".into())
}

fn print_list(list: &[Vec<u8>]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for value in list {
        writeln!(out, "{}", hex::encode(value))?;
    }
    writeln!(out)?;
    Ok(out.flush()?)
}
