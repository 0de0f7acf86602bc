#!/bin/sh
# Runs the measurements of this package on the machine's GPU. Needs nothing but a driver; PyTorch is compared with where python3 has it.
# What the machine's own loader lacks of Vulkan's and X's libraries is taken from lib/.
here=$(cd "$(dirname "$0")" && pwd)
libraries=$(mktemp -d)
trap 'rm -rf "$libraries"' EXIT
known=$( (ldconfig -p || /sbin/ldconfig -p) 2>/dev/null)
for file in "$here"/lib/*.so*; do
  name=$(basename "$file")
  case $known in *"$name "*) ;; *) ln -s "$file" "$libraries/$name" ;; esac
done
for folder in /usr/local/nvidia/lib64 /usr/local/nvidia/lib /usr/lib/wsl/lib; do
  [ -d "$folder" ] && libraries_of_driver=$libraries_of_driver:$folder
done
export LD_LIBRARY_PATH="$libraries$libraries_of_driver${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

# A container may have the driver, but no file that tells Vulkan's loader of it.
if [ -z "$VK_DRIVER_FILES" ] && ! ls /etc/vulkan/icd.d/*.json /usr/share/vulkan/icd.d/*.json >/dev/null 2>&1; then
  for file in /usr/local/nvidia/share/vulkan/icd.d/*.json /usr/lib/x86_64-linux-gnu/nvidia/*/icd.d/*.json; do
    [ -f "$file" ] && export VK_DRIVER_FILES="$file"
  done
  if [ -z "$VK_DRIVER_FILES" ]; then
    printf '{"file_format_version":"1.0.0","ICD":{"library_path":"libGLX_nvidia.so.0","api_version":"1.3.0"}}' >"$libraries/nvidia_icd.json"
    export VK_DRIVER_FILES="$libraries/nvidia_icd.json"
  fi
fi
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm --format=csv,noheader
"$here/node" "$here/bench/real-gpu.js" "$@"
