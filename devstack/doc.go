package devstack
