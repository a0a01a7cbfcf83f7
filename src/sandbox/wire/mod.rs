//! How the wire speaks: each service parses its requests, asks the world, and shapes the answer.
