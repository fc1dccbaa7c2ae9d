/**
 * `GET /health` (docs/protocol.md 6): the server's identity, its settings, how many connections, streams, followers and
 * awake streams it has, and whether it can store anything now. A command that sends a challenge gets a proof that the server
 * of its data directory made the answer.
 */
import { Clock, DateTime, Effect, type Layer } from "effect"
import * as fs from "node:fs"
import type { Health } from "../../api/wire.ts"
import { challengeHeader, proofHeader } from "../../api/wire.ts"
import { CurrentLimits, fixedLimits } from "../../domain/limits.ts"
import { version } from "../../domain/version.ts"
import { Listener } from "../../http-node/listener.ts"
import { json } from "../../http/exchange.ts"
import { Router } from "../../http/router.ts"
import { CurrentFollowers } from "../../manager/followers.ts"
import { StreamCount } from "../../manager/stream-limit.ts"
import { StreamManager } from "../../manager/stream-manager.ts"
import { Storage } from "../../storage/storage.ts"
import { DaemonSecret, proofOf } from "../daemon/daemon-secret.ts"
import { identityOf } from "../daemon/process-identity.ts"
import { toHealth } from "./given-settings.ts"
import type { SettingsInForce } from "./settings.ts"
import { CurrentSettings } from "./settings.ts"

type Needs = Router | StreamManager | StreamCount | CurrentFollowers | Storage | Listener

export const health = (settings: SettingsInForce): Layer.Layer<never, never, Needs> =>
  Router.room(
    Effect.gen(function*() {
      const manager = yield* StreamManager
      const followers = yield* CurrentFollowers
      const listener = yield* Listener
      const { current } = yield* StreamCount
      const { trouble } = yield* Storage
      const secret = yield* DaemonSecret
      const standing = yield* describe(settings)
      const startedAt = yield* Clock.monotonicTimeNanos

      const usage = () => ({
        connections: listener.connections(),
        streams: current(),
        followers: followers.size,
        awakeStreams: manager.awakeCount()
      })
      return {
        routes: [{
          method: "GET",
          path: "/health",
          handle: (request) =>
            Effect.zipWith(trouble, Clock.monotonicTimeNanos, (failing, now) => {
              const all: Health = {
                ...(failing === undefined ? { status: "ok" } : { status: "failing", reason: failing.message }),
                ...standing,
                usage: usage(),
                uptimeSeconds: Math.round(Number(now - startedAt) / 1_000_000_000)
              }
              const body = JSON.stringify(all)
              const answer = json(failing === undefined ? 200 : 503, body)
              const challenge = request.header(challengeHeader)
              if (challenge === undefined || !isChallenge.test(challenge)) return answer
              const proof = proofOf(secret, listener.address()?.port ?? 0, challenge, body)
              return { ...answer, headers: { ...answer.headers, [proofHeader]: proof } }
            })
        }]
      }
    })
  )

/** The entries that stay the same for the life of the server. */
const describe = Effect.fnUntraced(function*(settings: SettingsInForce) {
  const identity = identityOf(process.pid)
  return {
    pid: process.pid,
    ...(identity === undefined ? undefined : { process: identity }),
    version,
    dataDirectory: fs.realpathSync(settings.dataDirectory),
    ...toHealth(yield* CurrentSettings, settings),
    durability: settings.storage === "memory" ? "none" : settings.durability,
    limits: { ...(yield* CurrentLimits), fixed: fixedLimits },
    startedAt: DateTime.formatIso(yield* DateTime.now)
  }
})

const isChallenge = /^[0-9a-f]{32}$/
