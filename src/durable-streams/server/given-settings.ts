/**
 * The settings that a server was given, in the three forms in which they travel: to its rooms, to another process as
 * arguments, and to a restart by way of `/health`.
 */
import { Effect, Layer } from "effect"
import type { Health } from "../../api/wire.ts"
import type { SettingTable } from "../../domain/setting.ts"
import { SettingValues } from "../../domain/setting.ts"
import type { ServerSettings } from "./settings.ts"
import { CurrentSettings } from "./settings.ts"

/** The values that were given to the settings of a table, by their keys. */
type Given = Readonly<Record<string, unknown>>

/** Gives rooms the values of their settings (`valueOf`). */
export const layerValues = (given: ServerSettings): Layer.Layer<never> =>
  Layer.effect(
    SettingValues,
    Effect.map(
      CurrentSettings,
      (table) => new Map(entriesOf(table, given).map(([, setting, value]) => [setting, value]))
    )
  )

/** The arguments of a server with these settings. */
export const argumentsOf = (table: SettingTable, given: Given): ReadonlyArray<string> =>
  entriesOf(table, given).map(([, { flag, write }, value]) => `--${flag}=${write(value)}`)

/** The entries of `/health` that show settings, besides the limits. */
export const toHealth = (table: SettingTable, given: Given) => {
  const at = (place: string) =>
    Object.fromEntries(
      Object.entries(table).flatMap(([key, { default: value, health }]) =>
        health === place ? [[key, given[key] ?? value] as const] : []
      )
    )
  const ofRooms = at("settings")
  return {
    ...at("itself") as Pick<
      Health,
      "host" | "storage" | "bodyBytesMax" | "corsOrigins" | "allowHosts" | "longPollMillis"
    >,
    ...(Object.keys(ofRooms).length === 0 ? undefined : { settings: ofRooms as NonNullable<Health["settings"]> })
  }
}

/** The settings of a running server, as its `/health` shows them. An earlier version does not show all. */
export const fromHealth = (table: SettingTable, health: Health): ServerSettings => {
  const places: Readonly<Record<string, Given>> = {
    itself: { ...health },
    limits: health.limits,
    settings: health.settings ?? {}
  }
  return Object.fromEntries(
    Object.entries(table).flatMap(([key, { choices, health: place }]) => {
      const value = places[place]?.[key]
      // A server in memory shows a durability that is no choice of the flag.
      const isKnown = value !== undefined && (choices === undefined || choices.includes(value as string))
      return isKnown ? [[key, value] as const] : []
    })
  )
}

const entriesOf = (table: SettingTable, given: Given) =>
  Object.entries(table).flatMap(([key, setting]) => {
    const value = given[key]
    return value === undefined ? [] : [[key, setting, value] as const]
  })
