"""What runs the graph on a cluster: KubeRay manifests."""
