"""The host's side of Cinder's volumes: devices connected by os-brick, looked at before anything is written, mounted once for all pods."""
