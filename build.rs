//! The systems, templates and stand-ins are embedded in the binary; a new file among them must rebuild it.

fn main() {
    println!("cargo::rerun-if-changed=inventory");
    println!("cargo::rerun-if-changed=templates");
    println!("cargo::rerun-if-changed=src/builtin/generate");
    println!("cargo::rerun-if-changed=src/lab/images/stand_ins");
}
