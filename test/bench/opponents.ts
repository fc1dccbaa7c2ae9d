/**
 * The other servers for the same appends: the reference server of the protocol, in memory and on files, and Redis and
 * NATS if they are installed.
 */
import { type Contestant, protocol } from "./contestants.ts"
import { nats } from "./nats.ts"
import { redis } from "./redis.ts"
import { type Servers, startNats, startRedis, startReference } from "./servers.ts"

export const opponents = async (servers: Servers): Promise<ReadonlyArray<Contestant>> => [
  protocol("reference, memory", await servers.add(startReference())),
  protocol("reference, files", await servers.add(startReference(servers.directory()))),
  ...await findInstalled(servers, startRedis, redis),
  ...await findInstalled(servers, startNats, nats)
]

const findInstalled = async (
  servers: Servers,
  start: typeof startRedis,
  contestant: typeof redis
): Promise<ReadonlyArray<Contestant>> => {
  const server = await start(servers.directory())
  if (server === undefined) return []
  await servers.add(Promise.resolve(server))
  return [contestant(server)]
}
