export { type DownloadOptions, downloadLibtorch, type Wheel } from './download.ts';
export { cacheDirectory, cudaCompiler, findLibtorch, type Libtorch, type Search } from './find.ts';
