"""The HTTP routes, by what they serve; `deployments.http.app` includes their routers."""
