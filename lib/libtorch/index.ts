export { type DownloadOptions, downloadLibtorch, type Wheel } from './download.ts';
export {
  cudaCompiler,
  findLibtorch,
  inspectLibtorch,
  type Libtorch,
  type Search,
} from './find.ts';
