"""How faults are played: at the TCP level where it must be, on real sockets."""
