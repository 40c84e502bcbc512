#!/bin/sh
# Gives each service the rights it needs on Kafka and no others. Rights that are
# there already stay; run it again whenever you like.
#
#   BOOTSTRAP=kafka-0.example.com:9093 COMMAND_CONFIG=admin.properties sh acls.sh
#
# The users are those of deploy/kubernetes: mailstream-<service>, and
# mailstream-topics for `mailstream topics apply`, mailstream-operator for people. ClickHouse's `migrate` needs
# nothing here. A test runs the services with exactly these rights.
set -eu

: "${BOOTSTRAP:?host:port of a broker}"
PREFIX=${PREFIX:-email.}                    # kafka.topic_prefix
KAFKA_ACLS=${KAFKA_ACLS:-kafka-acls.sh}     # of the Kafka distribution
COMMAND_CONFIG=${COMMAND_CONFIG:-/dev/null} # properties with the administrator's credentials
DEAD_LETTERS=${DEAD_LETTERS:-yes}           # no, where analytics.tokens is not set: nobody redrives over HTTP

allow() { # user, then what kafka-acls.sh takes
	user=$1
	shift
	"$KAFKA_ACLS" --bootstrap-server "$BOOTSTRAP" --command-config "$COMMAND_CONFIG" \
		--add --allow-principal "User:mailstream-$user" "$@"
}

everything="--resource-pattern-type prefixed --topic $PREFIX"
# What generic sources report that is no event of an email: webhook.SOURCE.NAME.
webhooks="--resource-pattern-type prefixed --topic ${PREFIX%email.}webhook."

# Makes the topics and compares their settings.
allow topics --operation Create --operation Describe --operation DescribeConfigs --operation AlterConfigs $everything
allow topics --operation Create --operation Describe --operation DescribeConfigs --operation AlterConfigs $webhooks

# Every service compares all topics with its configuration before it starts.
for service in ingress analytics suppression alerting console; do
	allow "$service" --operation Describe --operation DescribeConfigs $everything
done

# The ingress writes events and dead letters, and keeps what drifts and since when; it
# reads nothing else.
topics="--topic ${PREFIX}dead-letter"
for type in processed delivered deferred bounced blocked failed opened clicked complained unsubscribed subscribed other; do
	topics="$topics --topic $PREFIX$type"
done
allow ingress --operation Write $topics
allow ingress --operation Write --operation Describe --operation DescribeConfigs $webhooks
allow ingress --operation Read --operation Write --topic "${PREFIX}drift"

# The others read all, and write what is theirs.
for service in analytics suppression alerting; do
	allow "$service" --operation Read $everything
	allow "$service" --operation Read --group "mailstream-$service"
done
allow analytics --operation Write --topic "${PREFIX}dead-letter"
if [ "$DEAD_LETTERS" = yes ]; then # events of what people redrive
	allow analytics --operation Write --topic "${PREFIX}operations" --topic "${PREFIX}audit" $topics
fi
# Each writes to the audit who made it change something.
allow suppression --operation Write --topic "${PREFIX}suppressions" --topic "${PREFIX}dead-letter" --topic "${PREFIX}audit"
allow alerting --operation Write --topic "${PREFIX}rates" --topic "${PREFIX}alerts" --topic "${PREFIX}alert_controls" --topic "${PREFIX}audit"

# The console writes who looked at whom, and reads nothing.
allow console --operation Write --topic "${PREFIX}audit"

# An operator with `mailstream forget`, `subject-export`, `replay` and `dead-letters`:
# reads what is known of a person, and writes who has to be forgotten, which no service
# may, events once more, what became of dead letters, and who did it.
allow operator --operation Describe --operation DescribeConfigs --operation Read $everything
allow operator --operation Write --topic "${PREFIX}erasures" --topic "${PREFIX}operations" --topic "${PREFIX}audit" $topics
allow operator --operation Describe --operation Read --operation Write $webhooks
allow operator --operation Describe --group mailstream-analytics # how far the events are stored

# The consumer of another team is one line, with its group name:
#   allow-principal User:team-clicks --operation Read --topic email.clicked --group team-clicks
