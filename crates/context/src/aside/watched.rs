//! The two futures. Written out, since a future that an `async` block holds is there twice.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::told;

pin_project_lite::pin_project! {
    pub(super) struct InTransaction<F> {
        pub(super) name: &'static str,
        #[pin]
        pub(super) work: F,
    }
}

impl<F: Future> Future for InTransaction<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _outer = told::Inside::of(this.name);
        this.work.poll(cx)
    }
}

pin_project_lite::pin_project! {
    pub(super) struct Aside<F> {
        // `Some` until the first poll.
        pub(super) told: Option<(&'static str, &'static Location<'static>)>,
        #[pin]
        pub(super) wait: F,
    }
}

impl<F: Future> Future for Aside<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Some((what, place)) = this.told.take() {
            told::tell(what, place);
        }
        this.wait.poll(cx)
    }
}
