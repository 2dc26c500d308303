# "make help" says what there is. The test command is test/run; CI calls .ci/run.

.PHONY: help run build test check race lint fmt fuzz-short fuzz-long invariants e2e crash lifecycle stops meta linear listings hadoop-contract s3-tests swift-tests s3-tests-cassandra swift-tests-cassandra test-cluster test-datacentres cluster-faults cluster-reclaim cluster-disk bench cassandra-fill sync-torture sync-figures
.DEFAULT_GOAL := help

help: ## this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

run: ## serve from ./pithos-data on 127.0.0.1:9000
	go run ./cmd/pithos serve

build: ## the binary, in bin/pithos
	go build -trimpath -o bin/pithos ./cmd/pithos

test: ## all tests, installing what they need first
	test/run

check: lint ## quick: lint, vet, tests without the race detector and without what takes long
	go vet ./...
	go test -short ./...

race: ## all unit tests under the race detector
	go test -race ./internal/... ./cmd/... ./test/tally

invariants: ## all tests with the costly internal checks compiled in
	go test -tags invariants ./internal/...

lint: ## golangci-lint on the project, after the proof that it finds planted faults
	tools/lint

fmt: ## format all Go files
	tools/lint fmt

fuzz-short: ## every fuzz target for ten seconds
	test/fuzz 10s

fuzz-long: ## every fuzz target for ten minutes; TIME=n changes that
	test/fuzz $(or $(TIME),10m)

e2e: ## real clients against a real server
	test/run ./test/e2e

crash: ## kill -9 the server 200 times under load; KILLS=n and SEED=n change that
	go test -count=1 -v -timeout 60m -run TestKill ./test/crash -kills $(or $(KILLS),200) $(if $(SEED),-seed $(SEED))

lifecycle: ## expire 10,000 of 1,000,000 objects; OBJECTS=n and DUE=n change that
	go test -count=1 -v -timeout 120m -run TestLifecycleAtScale ./internal/worker -lifecycle-objects $(or $(OBJECTS),1000000) -lifecycle-due $(or $(DUE),10000)

stops: ## ask the server to end 100 times under load; STOPS=n and SEED=n change that
	go test -count=1 -v -timeout 60m -run TestStop ./test/crash -stops $(or $(STOPS),100) $(if $(SEED),-seed $(SEED))

meta: ## the same random operations on all engines, for longer; LISTS=n and SEED=n change that
	go test -count=1 -v -timeout 60m ./test/metamorphic -lists $(or $(LISTS),300) -steps 400 $(if $(SEED),-seed $(SEED))

linear: ## histories of conditional writes, checked for linearizability, with each engine and over HTTP
	go test -count=1 -v -timeout 60m ./test/linear -rounds 1000 -histories 200

listings: ## a million random listings over the S3 door, compared with a sorted list; CASES=n and SEED=n change that
	go test -count=1 -v -timeout 6h -run TestListingModel ./internal/door/s3 -listcases $(or $(CASES),1000000) $(if $(SEED),-listseed $(SEED))

hadoop-contract: ## all of Hadoop's own contract tests of file systems, over S3A
	test/run -count=1 -v -timeout 60m -run TestHadoopContract ./test/e2e -contract '.*'

s3-tests: ## ceph/s3-tests by group: make s3-tests S3TESTS=checkout; COMPAT="flags"
	go run ./test/compat -suite "$(S3TESTS)" $(COMPAT)

swift-tests: ## Swift's functional tests beside Swift's counts: make swift-tests SWIFT="-v test_slo tests s3api"; all without SWIFT
	go run ./test/compat/swift $(SWIFT)

s3-tests-cassandra: ## ceph/s3-tests against a Pithos on one Cassandra node: S3TESTS=checkout
	test/cassandra/with 1 go run ./test/compat -cassandra -suite "$(S3TESTS)" $(COMPAT)

swift-tests-cassandra: ## Swift's functional tests against a Pithos on one Cassandra node
	test/cassandra/with 1 go run ./test/compat/swift -cassandra $(SWIFT)

test-cluster: ## conformance suites, metamorphic test, faults, reclaim and a damaged disk on three Cassandra nodes with three replicas
	test/cluster/run all

test-datacentres: ## two data centres of one Cassandra node each: what goes on while one is down
	test/cluster/run datacentres

cluster-faults: ## kill, halt and cut off Cassandra nodes and gateways under load; MINUTES=m or ROUNDS=n of each kind, SEED=n, FAULTS="a,b"
	test/cluster/run test -v -run TestFaults ./test/cluster -minutes $(or $(MINUTES),10) $(if $(ROUNDS),-rounds $(ROUNDS)) $(if $(SEED),-seed $(SEED)) $(if $(FAULTS),-faults "$(FAULTS)")

cluster-reclaim: ## collect garbage on Cassandra while blocks lose and gain owners and collectors stall; MINUTES=m and SEED=n
	test/cluster/run test -v -run TestReclaim ./test/cluster -minutes $(or $(MINUTES),5) $(if $(SEED),-seed $(SEED))

cluster-disk: ## change bytes in the data files of one Cassandra node; SEED=n
	test/cluster/run test -v -run TestDamagedDisk ./test/cluster $(if $(SEED),-seed $(SEED))

cassandra-fill: ## a bucket of 500,000 names on one Cassandra node: pages and largest partitions; NAMES=n changes that
	test/cassandra/fill

sync-torture: ## two synchronised folders under kills and cuts, 5,000 changes; STEPS=n and SEED=n change that
	go test -count=1 -v -timeout 60m -run TestTorture ./test/twoway -steps $(or $(STEPS),5000) $(if $(SEED),-seed $(SEED))

sync-figures: ## time and bytes of pithos sync beside rsync and rclone, as Markdown; FIGURES="flags"
	go run ./test/syncfigures $(FIGURES)

bench: ## speed and memory beside their limits and beside OpenStack Swift, as Markdown on standard output; BENCH="flags"
	test/bench/setup
	go run ./test/bench $(BENCH)
