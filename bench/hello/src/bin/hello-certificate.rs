//! Makes a certificate for both servers, says where it and its key are, and removes them when its
//! input ends.

use std::io::Read;

use tenfold_testkit::SelfSigned;

fn main() -> std::io::Result<()> {
    let signed = SelfSigned::new()?;
    println!("{}\n{}", signed.certificate().display(), signed.key().display());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
