/**
 * The settings of a made-up room, as a room of `src` would keep them beside its code.
 */
import { count } from "../../src/domain/setting.ts"

export const toySettings = {
  toyMax: count({
    flag: "toy-max",
    about: "Toys of one child",
    default: 5,
    most: 100,
    page: { text: "toys of one child" }
  })
}
