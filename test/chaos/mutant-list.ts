/**
 * Mistakes that were made somewhere, or could be, each as a change of our own code: a test must find them to be worth
 * its time. `killedBy` names the tests that do.
 */
export interface Mutant {
  readonly name: string
  readonly changes: ReadonlyArray<Change>
  readonly killedBy: ReadonlyArray<string>
  /** Only the tests whose title contains this text. */
  readonly titled?: string
  /** The suites whose short forms find it as well: by the behaviour of a server, whatever code it is made of. */
  readonly suites?: ReadonlyArray<string>
}

/** `from` occurs exactly once in the file. */
interface Change {
  readonly file: string
  readonly from: string
  readonly to: string
}

const change = (file: string, from: string, to: string): ReadonlyArray<Change> => [{ file: `src/${file}`, from, to }]

const disk = "test/simulation/disk.test.ts"
const damage = "test/simulation/damage.test.ts"
const damaged = "test/storage-filesystem/damage.test.ts"
const recovery = "test/storage-filesystem/recovery.test.ts"
const diskFailures = "test/storage-filesystem/disk-failures.test.ts"
const regaining = "test/storage-filesystem/regaining.test.ts"
const journal = "test/storage-filesystem/journal.test.ts"
const lostLogs = "test/manager/lost-logs.test.ts"
const foreignDirectory = "test/e2e/foreign-directory.test.ts"
const producers = "test/stream/producers.test.ts"

export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "a background server keeps what its command had inherited",
    changes: change("durable-streams/daemon/inherited-files.ts", "descriptor <= 3 ||", "descriptor >= 0 ||"),
    killedBy: ["test/e2e/daemon-life.test.ts"],
    titled: "keeps no lock"
  },
  {
    name: "a server that stops gives up the room of its small files",
    changes: change(
      "durable-streams/daemon/daemon-files.ts",
      "return fs.renameSync(path, spareOf(reserve, path))",
      "return fs.rmSync(path)"
    ),
    killedBy: ["test/e2e/lost-directory.test.ts"],
    titled: "filled again whenever something is freed"
  },
  {
    name: "the space of all lines is gone over at each empty one",
    changes: change(
      "stream-http/append-body.ts",
      "if (isSpace(source[at]!)) continue",
      "if (skipSpace(source, at) > at) continue"
    ),
    killedBy: ["test/stream-http/append-body.test.ts"],
    titled: "costs no more for lines with nothing but space"
  },
  {
    name: "what comes live is not held against what was caught up",
    changes: change(
      "stream/recent-events.ts",
      "return this.#piece.from(next)",
      "return this.#piece.from(0)"
    ),
    killedBy: ["test/simulation/model.test.ts"]
  },
  {
    name: "the keys of a state go through an object",
    changes: change(
      "storage-filesystem/log/state-reader.ts",
      "members(bytes)?.map(([key, start, end]): StateChange => {\n    const value = bytes.toString(\"utf8\", start, end)",
      "Object.entries(JSON.parse(text)).map(([key, inner]): StateChange => {\n    const value = JSON.stringify(inner)"
    ),
    killedBy: [
      "test/simulation/model.test.ts",
      "test/durable-streams/strange-producers.test.ts",
      "test/storage-filesystem/state-keys.test.ts"
    ]
  },
  {
    name: "a state may forget a producer",
    changes: change("storage-filesystem/verify/state-history.ts", "if (now.has(key)) continue", "continue"),
    killedBy: ["test/storage-filesystem/verify-state.test.ts"]
  },
  {
    name: "a long name that cannot be read stops everything",
    changes: change(
      "storage-filesystem/log/long-names.ts",
      "isMissing(failure) ? Effect.undefined : leaveOut(file, failure)",
      "isMissing(failure) ? Effect.undefined : Effect.die(failure)"
    ),
    killedBy: ["test/storage-filesystem/log-names.test.ts"]
  },
  {
    name: "no more logs are open where there are more descriptors",
    changes: change("http-node/file-limit.ts", "Math.max(quarter, logsMin)", "logsMin"),
    killedBy: ["test/storage-filesystem/cost.test.ts"]
  },
  {
    name: "a full disk keeps logs from being opened",
    changes: change("storage-filesystem/writing/flush-on-open.ts", " || isFull(code)", ""),
    killedBy: ["test/storage-filesystem/full-disk.test.ts"]
  },
  {
    name: "a condition is not looked at",
    changes: change(
      "stream/judge-append.ts",
      "if (ifMatch !== undefined && ifMatch !== tail)",
      "if (ifMatch === -1)"
    ),
    killedBy: ["test/stream/stream.test.ts"],
    suites: ["histories"]
  },
  {
    name: "a place beyond the tail is waited for",
    changes: change("stream/reader.ts", "return next <= tail ?", "return next <= Infinity ?"),
    killedBy: ["test/stream-http/lives.test.ts", "test/native-api/bad-input.test.ts"],
    titled: "Promise 10"
  },
  {
    name: "the life that a reader names is not looked at",
    changes: change(
      "stream-http/reading-start.ts",
      "&& !asked.isLife(description.id)",
      "&& asked.isLife(\"\")"
    ),
    killedBy: ["test/stream-http/lives.test.ts"],
    titled: "Promise 10"
  },
  {
    name: "an EventSource comes back to a stream that was made again where it left the one before",
    changes: change("stream-http/problem-frame.ts", "${isLost(refusal) ? \"id: -1\\n\" : \"\"}", ""),
    killedBy: ["test/stream-http/lives.test.ts"]
  },
  {
    name: "live=sse answers before it has read",
    changes: change("stream-http/following.ts", "return Effect.as(begin, body)", "return Effect.succeed(body)"),
    killedBy: ["test/protocol/told.test.ts"]
  },
  {
    name: "a torn tail is not cut",
    changes: change(
      "storage-filesystem/writing/log-opener.ts",
      "if (logEnd.torn > 0) yield*",
      "if (logEnd.torn < 0) yield*"
    ),
    killedBy: [recovery],
    suites: ["failpoints"]
  },
  {
    name: "the state is not in the commit",
    changes: change(
      "storage-filesystem/writing/log-file.ts",
      "encodeCommit(events, entry, crc, memory.allocate)",
      "encodeCommit(events, entry && { ...entry, text: undefined }, crc, memory.allocate)"
    ),
    killedBy: [disk],
    suites: ["kill9"]
  },
  {
    name: "an append does not see the closing in front of it",
    changes: change(
      "stream/append-batch.ts",
      "changes.has(key) ? changes.get(key) : state.get(key)",
      "state.get(key)"
    ),
    killedBy: [producers, "test/stream/stream.test.ts"]
  },
  {
    name: "a deletion does not wait for its turn",
    changes: change(
      "stream/stream.ts",
      "delete: inTurn(deleteIf(() => Effect.void)),\n    deleteIf: (check) => inTurn(deleteIf(check)),",
      "delete: Effect.andThen(ensureCurrent, deleteIf(() => Effect.void)),\n" +
        "    deleteIf: (check) => Effect.andThen(ensureCurrent, deleteIf(check)),"
    ),
    killedBy: ["test/simulation/model.test.ts", "test/stream/stream.test.ts"]
  },
  {
    name: "it is answered before the flush",
    changes: change(
      "storage-filesystem/writing/log-file.ts",
      "return flusher === undefined ?",
      "return flusher !== null ?"
    ),
    killedBy: [disk, recovery],
    suites: ["flush", "powercut"]
  },
  {
    name: "a flush counts for what came after it began",
    changes: change(
      "storage-filesystem/journal/flusher.ts",
      "for (const { done } of taken) done(exit) }",
      "for (const { done } of [...taken, ...waiting.splice(0)]) done(exit) }"
    ),
    killedBy: [journal],
    suites: ["flush"]
  },
  {
    name: "the directory is not flushed",
    changes: change(
      "storage-filesystem/log/log-directory.ts",
      "durable ? disk.flushDirectory(directory) : Effect.void",
      "Effect.void"
    ),
    killedBy: [disk, recovery]
  },
  {
    name: "what lies behind a damaged commit is cut",
    changes: change(
      "storage-filesystem/log/find-tail.ts",
      "if (sum >= 0 && sum !== written) misfit ??= { from, end, sum: -1 }",
      "if (sum >= 0 && sum !== written) break"
    ),
    killedBy: [damage, "test/storage-filesystem/damage.test.ts"]
  },
  {
    name: "the sum is not checked where it is read",
    changes: change(
      "storage-filesystem/log/log-reader.ts",
      "commits > 0 && fits(bytes, commits, place.crc)",
      "commits > 0"
    ),
    killedBy: [damage]
  },
  {
    name: "the sum leaves out the last byte",
    changes: [
      {
        file: "src/storage-filesystem/format/record-codec.ts",
        from: "crc32(bytes.subarray(from, to), crc)",
        to: "crc32(bytes.subarray(from, to - 1), crc)"
      },
      {
        file: "src/storage-filesystem/format/record-codec.ts",
        from: "crc32(bytes.subarray(0, at), first",
        to: "crc32(bytes.subarray(0, at - 1), first"
      }
    ],
    killedBy: ["test/storage-filesystem/damage.test.ts", "test/storage-filesystem/record-codec.test.ts"]
  },
  {
    name: "readers see what is written and not flushed",
    changes: change("stream/reader.ts", "sliceBlock(block, next, tail - next)", "block"),
    killedBy: ["test/stream/group-commit.test.ts"]
  },
  {
    name: "a follower registers a turn after it has caught up",
    changes: change(
      "stream/reader.ts",
      "Effect.andThen(open.sleepers.wait(() => isNews(cursor), () => open.use())",
      "Effect.andThen(Effect.andThen(Effect.yieldNow, open.sleepers.wait(() => false, () => open.use()))"
    ),
    killedBy: ["test/manager/catch-up-live.test.ts"]
  },
  {
    name: "a socket that is full is written to",
    changes: change(
      "http-node/sending.ts",
      "if (hasRoom) continue\n",
      "void hasRoom\n        continue\n"
    ),
    killedBy: ["test/e2e/stalled-follower.test.ts"],
    suites: ["stalled"]
  },
  {
    name: "the lock is not taken",
    changes: change("data-directory/lock.ts", "; BEGIN EXCLUSIVE", ""),
    killedBy: ["test/e2e/daemon.test.ts"],
    titled: "a second server refuses",
    suites: ["daemon"]
  },
  {
    name: "a clock that is set back is taken for one that stands still",
    changes: change("storage-filesystem/writing/log-file.ts", " && now >= seenAt", ""),
    killedBy: [diskFailures]
  },
  {
    name: "producers are the properties of an object",
    changes: [
      { file: "src/stream/stream-state.ts", from: "producerPrefix + id", to: "id" },
      {
        file: "src/stream/append-batch.ts",
        from: "changes.has(key) ? changes.get(key) : state.get(key)",
        to: "(Object.fromEntries([...changes]) as Record<string, string>)[key] ?? state.get(key)"
      }
    ],
    killedBy: [producers]
  },
  {
    name: "the journal is not put back",
    changes: change(
      "storage-filesystem/journal/settling.ts",
      "Effect.andThen(replayRecords(file, records), file.flush)",
      "Effect.void"
    ),
    killedBy: [journal],
    suites: ["powercut"]
  },
  {
    name: "a flush that failed is tried again on the same descriptor",
    changes: change(
      "storage-filesystem/writing/log-file.ts",
      "() => Effect.andThen(Effect.sync(() => journal.suspect(journaled)), Effect.ignore(restore))",
      "() => Effect.sync(() => void (isSuspect = false))"
    ),
    killedBy: [diskFailures]
  },
  {
    name: "what a killed process has written counts for flushed",
    changes: change(
      "storage-filesystem/writing/flush-on-open.ts",
      "const isFlushed = !durable ||",
      "const isFlushed = true ||"
    ),
    killedBy: [regaining]
  },
  {
    name: "a log that falls asleep forgets that a flush has failed",
    changes: change(
      "storage-filesystem/writing/flush-on-open.ts",
      "void (fence === undefined ? fences.delete(key) : fences.set(key, fence))",
      "void fences.delete(key)"
    ),
    killedBy: [regaining]
  },
  {
    name: "a late flush settles what came in the next turn",
    changes: change("storage-filesystem/journal/areas.ts", "    active.unsettled = new Map()\n", ""),
    killedBy: [regaining]
  },
  {
    name: "what of a write that failed is there is not cut off",
    changes: change(
      "storage-filesystem/writing/log-file.ts",
      "Effect.ignore(Effect.map(disk.truncate(size), () => {",
      "Effect.ignore(Effect.map(Effect.void, () => {"
    ),
    killedBy: [diskFailures]
  },
  {
    name: "commits without an event end a read",
    changes: change(
      "storage-filesystem/log/log-reader.ts",
      "if (block.count === 0 && sound === commits && !isAll) continue",
      ""
    ),
    killedBy: ["test/storage/storage.test.ts"],
    titled: "goes on behind commits"
  },
  {
    name: "one damaged line leads every search astray",
    changes: change("storage-filesystem/log/log-reader.ts", `["direct", "wary", "lowest"]`, `["direct"]`),
    killedBy: [damaged]
  },
  {
    name: "a damaged line hides what was appended at its offset",
    changes: change("storage-filesystem/log/log-reader.ts", "const triesMax = 4", "const triesMax = 1"),
    killedBy: [damaged]
  },
  {
    name: "old commits behind new ones make their offsets free again",
    changes: change(
      "storage-filesystem/log/find-tail.ts",
      "tail = Math.max(tail, lineOffset(bytes, line) + 1)",
      "tail = lineOffset(bytes, line) + 1"
    ),
    killedBy: [damaged]
  },
  {
    name: "leases go by the time of day",
    changes: change(
      "subscriptions/running/moment-source.ts",
      "now: Math.round(origin + steady())",
      "now: clock.currentTimeMillisUnsafe()"
    ),
    killedBy: ["test/subscriptions/subscriptions.test.ts"]
  },
  {
    name: "idle times go by the time of day",
    changes: change(
      "domain/steady-time.ts",
      "Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000",
      "clock.currentTimeMillisUnsafe()"
    ),
    killedBy: ["test/manager/awake-streams.test.ts"]
  },
  {
    name: "as many streams are awake as were asked for",
    changes: [
      ...change("manager/awake-streams.ts", "if (entries.size < awakeMax) break", "break"),
      ...change("manager/awake-streams.ts", "entries.size >= awakeMax && !isExempt(name)", "isExempt(name)")
    ],
    killedBy: ["test/manager/awake-streams.test.ts"]
  },
  {
    name: "a read that fails under a deletion is told why it failed",
    changes: change("stream/reader.ts", "return isClosedUnder", "return isClosedUnder && false"),
    killedBy: [lostLogs]
  },
  {
    name: "a log that was taken away is not looked for before another one is made in its place",
    changes: change(
      "stream/open-log.ts",
      "this.#isDoubtful || (this.#isLost && this.log === undefined)",
      "this.#isDoubtful"
    ),
    killedBy: [lostLogs]
  },
  {
    name: "a file that is let go for good is opened again by who reads on",
    changes: change("storage-filesystem/disk/open-files.ts", "          closed = true\n", ""),
    killedBy: [lostLogs]
  },
  {
    name: "a cursor that is ahead of its stream stays there",
    changes: change("subscriptions/machine/wake-cycle.ts", "item.tail < link.acked) {", "item.tail < -1) {"),
    killedBy: ["test/subscriptions/behind.test.ts"]
  },
  {
    name: "a stream that could not be looked at is not looked at again",
    changes: change(
      "subscriptions/running/stream-lookup.ts",
      `if (error._tag !== "LogDamaged") left.push(path)`,
      "if (left.length > 1e9) left.push(path)"
    ),
    killedBy: ["test/subscriptions/behind.test.ts"]
  },
  {
    name: "names are acknowledged without the slashes at their ends",
    changes: change(
      "subscriptions/machine/transitions.ts",
      "draft.link(sent) !== undefined ||",
      "draft.link(sent) === null ||"
    ),
    killedBy: ["test/subscriptions/names.test.ts"]
  },
  {
    name: "tokens have many spellings",
    changes: change(
      "subscriptions/webhook/tokens.ts",
      `if (given.toString("base64url") !== signature)`,
      "if (dot < 0)"
    ),
    killedBy: ["test/subscriptions/refusals.test.ts"]
  },
  {
    name: "a receiver that says nothing takes every call",
    changes: change("subscriptions/running/webhook-queue.ts", "Math.floor(most / 4)", "most"),
    killedBy: ["test/subscriptions/call-line.test.ts"]
  },
  {
    name: "a webhook goes to the server itself by a name that means it",
    changes: change("subscriptions/webhook/webhook-sender.ts", " && !isOwn(url, address, own)", ""),
    killedBy: ["test/subscriptions/own-address.test.ts"]
  },
  {
    name: "what a delivery came to is lost when its commit fails",
    changes: change(
      "subscriptions/running/runner.ts",
      "this.#results = [...results, ...this.#results]",
      "this.#results = []"
    ),
    killedBy: ["test/subscriptions/full-disk.test.ts"]
  },
  {
    name: "a hook is asked when the events are stored",
    changes: change(
      "hooks/with-hooks.ts",
      "      yield* ask(request)\n      return yield* thenTell(stream.append(request))",
      "      return yield* Effect.tap(thenTell(stream.append(request)), () => ask(request))"
    ),
    killedBy: ["test/simulation/model.test.ts"]
  },
  {
    name: "a write of which a file took a part counts as a whole one",
    changes: change(
      "durable-streams/process/stdout.ts",
      "rest = rest.subarray(fs.writeSync(stdout, rest))",
      "fs.writeSync(stdout, rest)\n      rest = rest.subarray(rest.length)"
    ),
    killedBy: ["test/e2e/cli-output.test.ts"],
    titled: "takes a part of the last write"
  },
  {
    name: "a terminal obeys the controls of C1",
    changes: change(
      "domain/visible-text.ts",
      "const obeyedInLines = /(?![\\t\\n])[\\p{Cc}",
      "const obeyedInLines = /(?![\\t\\n])[\\u0000-\\u001f"
    ),
    killedBy: ["test/e2e/cli-output.test.ts"],
    titled: "is shown and not obeyed"
  },
  {
    name: "groups of lines share a number",
    changes: change(
      "durable-streams/cli/stream/append-writer.ts",
      "if (producer !== undefined) producer.seq++",
      "if (producer === undefined) isFirst = false"
    ),
    killedBy: ["test/e2e/cli-lines.test.ts"],
    titled: "a group whose answer was lost"
  },
  {
    name: "requests of one connection are handled at once",
    changes: change(
      "http-node/turns.ts",
      "if (response.socket !== null) return handle",
      "if (response !== null) return handle"
    ),
    killedBy: ["test/http-node/pipelining.test.ts"],
    titled: "are performed one after the other"
  },
  {
    name: "what waits on a connection is parsed all the same",
    changes: change("http-node/turns.ts", "?.isHeld === true ? pause : usual", "?.isHeld === true ? usual : usual"),
    killedBy: ["test/http-node/pipelining.test.ts"]
  },
  {
    name: "a client that ends its side is hung up on",
    changes: change("http-node/half-closed.ts", ".httpAllowHalfOpen = true", ".httpAllowHalfOpen = false"),
    killedBy: ["test/http-node/half-closed.test.ts"]
  },
  {
    name: "bodies take what memory they like",
    changes: change("http-node/bodies.ts", "if (this.#bytes <= this.#bytesMax) return", "return"),
    killedBy: ["test/http-node/bodies.test.ts"]
  },
  {
    name: "a precondition of a deletion is not looked at",
    changes: change(
      "stream-http/preconditions.ts",
      "if (condition === undefined) return yield* manager.delete(name)",
      "if (condition !== null) return yield* manager.delete(name)"
    ),
    killedBy: ["test/stream-http/preconditions.test.ts"]
  },
  {
    name: "a precondition of an append is not judged in its turn",
    changes: change(
      "stream/judge-append.ts",
      "if (onlyIf === undefined) return undefined",
      "if (onlyIf !== null) return undefined"
    ),
    killedBy: ["test/stream-http/preconditions.test.ts"]
  },
  {
    name: "a precondition of PUT is not judged in its turn",
    changes: change("protocol/create-stream.ts", "      onlyIf,\n", "      onlyIf: onlyIf && undefined,\n"),
    killedBy: ["test/stream-http/preconditions.test.ts"]
  },
  {
    name: "beyond loopback every name is answered",
    changes: change("http/guard.ts", "(!loopback && isAddress(host))", "!loopback"),
    killedBy: ["test/http/access.test.ts"]
  },
  {
    name: "a link in a data directory is followed",
    changes: change("data-directory/trusted-directory.ts", "if (stats.isSymbolicLink()) {", "if (stats.isSocket()) {"),
    killedBy: [foreignDirectory],
    titled: "is a link"
  },
  {
    name: "a log that is a link is followed",
    changes: change(
      "storage-filesystem/disk/disk.ts",
      "fs.constants.O_NOFOLLOW ?? 0",
      "fs.constants.O_RDONLY"
    ),
    killedBy: [foreignDirectory],
    titled: "a single log"
  },
  {
    name: "the proof of a server is not compared",
    changes: change(
      "durable-streams/daemon/find-server.ts",
      "if (proof === undefined || !isSame(proof, proofOf(secret, port, challenge, body))) return undefined",
      "if (proof === secret) return undefined"
    ),
    killedBy: [foreignDirectory],
    titled: "that only repeats"
  }
]
