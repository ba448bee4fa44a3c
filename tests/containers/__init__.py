"""The daemon in real containers: podman, its pods, docker, and a booted systemd; run by `make test-containers`."""
