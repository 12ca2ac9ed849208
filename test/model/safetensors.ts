/** The tensors of a safetensors file by their names, as bytes. */
export function readSafetensors(file: Buffer): Map<string, Buffer> {
  const size = Number(file.readBigUInt64LE());
  const { __metadata__: _, ...header } = JSON.parse(file.toString('utf8', 8, 8 + size)) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  const tensors = Object.entries(header).map(
    ([name, { data_offsets: place }]) =>
      [name, file.subarray(8 + size + place[0], 8 + size + place[1])] as const,
  );
  return new Map(tensors);
}
