/** What simulation codes compute again and again, and the cache that keeps it. */

export { type SimulationCategory, simulationCache, simulationCategories } from "./categories.ts";
export { type ChirpOptions, chirp, type Echo, findEcho, matchedFilter } from "./echoes.ts";
export {
  describeWisdom,
  isWisdom,
  mergeWisdom,
  type Wisdom,
  type WisdomPlan,
  type WisdomPrecision,
} from "./fftw-wisdom.ts";
export { grunwaldLetnikov } from "./kernels.ts";
export { MissionGraph, type MissionNode, type MissionRun } from "./mission.ts";
export { laplacianOperator, type SparseMatrix } from "./operators.ts";
export { loadProfile, packProfile, type StateProfile, saveProfile } from "./profiles.ts";
export { simulationRecipes } from "./recipes.ts";
export { type SourceDType, type SourceMapOptions, type SourceProfile, sourceMap } from "./sources.ts";
export {
  type Dimensions,
  laplacianStencil,
  type StencilOrder,
  type StencilPoint,
  stencilPoints,
} from "./stencils.ts";
export { WaveEquation, type WaveOptions } from "./wave.ts";
