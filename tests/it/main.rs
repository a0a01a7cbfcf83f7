//! One test binary for everything that crosses a module border.
