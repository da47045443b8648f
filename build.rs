//! The systems and templates are embedded in the binary; a new file among them must rebuild it.

fn main() {
    println!("cargo::rerun-if-changed=inventory");
    println!("cargo::rerun-if-changed=templates");
}
