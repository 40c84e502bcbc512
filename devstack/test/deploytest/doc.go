// Package deploytest checks the files that cannot be run here (compose.yaml,
// the image, the manifests, dashboards and rules) to the programs they are for:
// variables set real fields, secrets are mounted where they are read, ports and
// metrics exist, images are pinned, nothing runs as root. It has tests only,
// and does not replace a container engine or a cluster.
package deploytest
