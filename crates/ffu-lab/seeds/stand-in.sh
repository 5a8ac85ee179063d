#!/bin/sh
# Stands in for an agent (its name is the argument), which cannot run in a lab: there is no hypervisor and no broker here.
# It does nothing, for as long as it is let; a run must leave it alone, as it would the agent.
while sleep 3600; do :; done
