"""Import jobs: asked for, queued, carried out by whichever worker claims one, and ended with a reason."""
