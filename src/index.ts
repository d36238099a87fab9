/** The public names of the package. */

export { Cache, type CacheDescription } from "./cache/cache.ts";
export type { CodecOption } from "./cache/codec-set.ts";
export type { CacheErrors, ComputeOptions } from "./cache/compute-options.ts";
export type { Dependency } from "./cache/dependencies.ts";
export type { CacheEventMap, DiagnosticsMessage, EntryEvent, EvictEvent } from "./cache/events.ts";
export type { EvictionReport } from "./cache/evictor.ts";
export type { Selection } from "./cache/invalidate.ts";
export type { LatencyListener, Operation } from "./cache/latencies.ts";
export type { ListOptions } from "./cache/listing.ts";
export type { Memoized, MemoizedOf, Memoizee, MemoizeOptions } from "./cache/memoize.ts";
export type { Metrics, NamespaceMetrics } from "./cache/metrics.ts";
export type { EntryInfo, GetOptions, Namespace, TouchOptions } from "./cache/namespace.ts";
export type { CacheOptions, NamespaceOptions, Origin } from "./cache/options.ts";
export type { Backend, PipelineOptions } from "./cache/pipeline-options.ts";
export type { CacheStatistics, Observations, Statistics } from "./cache/statistics.ts";
export type { ByteRange, ByteStream } from "./cache/streams.ts";
export type { VerifyOptions, VerifyReport } from "./cache/verify.ts";
export type { Recipe, RecipeParameters, WarmOptions, WarmProgress, WarmReport } from "./cache/warm.ts";
export type { WarmInputsOptions, WarmInputsProgress, WarmInputsReport } from "./cache/warm-inputs.ts";
export type { SetOptions } from "./cache/writer.ts";
export type {
  Codec,
  Compression,
  DecodeContext,
  EncodedValue,
  EncodeOptions,
  PartedBytes,
} from "./codecs/codec.ts";
export { loadFile, type SaveOptions, saveFile } from "./codecs/files.ts";
export { PythonObject, type TensorFacts, Tuple, torchFacts } from "./codecs/pt/python.ts";
export {
  type StateDict,
  safetensorsMetadata,
  withSafetensorsMetadata,
} from "./codecs/safetensors.ts";
export type { DatasetColumn } from "./datasets/column.ts";
export { Dataset, type DatasetBatch, type DatasetDict } from "./datasets/dataset.ts";
export type { ColumnInput } from "./datasets/input.ts";
export type { DatasetWriteOptions } from "./datasets/write.ts";
export { type CacheKeyOptions, cacheKey, type Normalize } from "./hashing/cache-key.ts";
export type { ArrayHash } from "./hashing/canonical.ts";
export { type MeterLike, type ObservedCache, reportToOpenTelemetry } from "./metrics/opentelemetry.ts";
export { PROMETHEUS_CONTENT_TYPE, prometheusText } from "./metrics/prometheus.ts";
export { memoized } from "./pipeline/memoized.ts";
export type { CandidateColumns, EvictionPolicy } from "./policy/eviction.ts";
export type { EvictionOption } from "./policy/resolve.ts";
export type { RouteRule } from "./routing/rules.ts";
export {
  isQuiverError,
  QuiverError,
  type QuiverErrorCode,
  type QuiverErrorDetails,
} from "./shared/errors.ts";
export type { LatencySummary } from "./shared/histogram.ts";
export type { Logger } from "./shared/logger.ts";
export type { Duration, Size } from "./shared/units.ts";
export type { CounterKeeper, Counters } from "./stores/counters.ts";
export { FileStore, type FileStoreOptions } from "./stores/files.ts";
export { MemoryStore, type MemoryStoreOptions } from "./stores/memory.ts";
export { NullStore } from "./stores/null.ts";
export type { RedisLike } from "./stores/redis/connection.ts";
export { type RedisDescription, RedisStore, type RedisStoreOptions } from "./stores/redis.ts";
export type {
  NamespaceSettings,
  PathLease,
  Store,
  StoreCapabilities,
  StoreNamespace,
  Usage,
} from "./stores/store.ts";
export { TieredStore, type TieredStoreOptions, type TierOption } from "./stores/tiered.ts";
export {
  type ArrowLibrary,
  type ArrowTable,
  type ArrowVector,
  fromArrow,
  toArrow,
} from "./tensor/apache-arrow.ts";
export type { DType } from "./tensor/dtype.ts";
export { type LoadOptions, Tensor, type TensorOptions, type TensorSummary } from "./tensor/tensor.ts";
export type { ExtendOptions } from "./vectors/extension.ts";
export type { CreateOptions, CreateProgress } from "./vectors/options.ts";
export {
  type NearestOptions,
  type Neighbor,
  VectorCache,
  type VectorCacheInfo,
} from "./vectors/vector-cache.ts";
export { fromAiSdk } from "./vectors/vectorizers/ai-sdk.ts";
export { fromFunction } from "./vectors/vectorizers/function.ts";
export { type HashingOptions, hashingVectorizer } from "./vectors/vectorizers/hashing.ts";
export { fromLangChain } from "./vectors/vectorizers/langchain.ts";
export { type LimitOptions, withLimits } from "./vectors/vectorizers/limits.ts";
export { fromTransformers } from "./vectors/vectorizers/transformers.ts";
export type { EmbedOptions, Vectorizer, Vectors } from "./vectors/vectorizers/vectorizer.ts";
