# Sourced by run.sh. need_kernel sets UML to a User-mode Linux that has what kernel.config says. It is kept for the next run,
# by the version of Debian's package and the sum of kernel.config and this file. Exits with 77 if it cannot be built.
need_kernel() {
    local package=linux-source-6.12 version key folder here
    here=$(dirname "${BASH_SOURCE[0]}")
    version=$(newest "$package")
    if [ -z "$version" ]; then
        apt-get update </dev/null >/dev/null 2>&1 || true
        version=$(newest "$package")
    fi
    key=$(cat "$here/kernel.config" "$here/kernel.sh" | sha256sum | cut -c1-16)
    local kept=$KEPT
    keep user-mode-linux
    folder=$KEPT KEPT=$kept
    UML=$folder/linux-$version-$key
    [ ! -x "$UML" ] || return 0
    [ -n "$version" ] || { echo "Debian's $package is not available"; exit 77; }
    need_debian make:make gcc:gcc flex:flex bison:bison bc:bc
    mkdir -p "$folder"
    local build
    rm -rf "$folder"/build.* # of a run that was killed
    build=$(mktemp -d -p "$folder" build.XXXXXX)
    (
        trap 'rm -rf "$build"' EXIT
        cd "$build"
        echo "downloading $package $version"
        apt-get download "$package=$version" >download 2>&1 || { cat download; echo "Debian does not give $package"; exit 77; }
        unpack
        build "$here/kernel.config"
        # Kernels of other versions.
        rm -f "$folder"/linux-*
        cp linux "$UML"
    )
}

newest() { apt-cache show "$1" 2>/dev/null | sed -n 's/^Version: //p' | head -n 1; }

# Without the sources of what is not built.
unpack() {
    local excluded=() pattern
    for pattern in 'Documentation/*.rst' 'drivers/gpu/*.[ch]' 'drivers/net/*/*.[ch]' 'drivers/media/*.[ch]' 'sound/*/*.[ch]' \
        'tools/testing/*' 'arch/[a-tvwyz]*/*.[chS]' 'arch/[a-tvwyz]*/*.dts*'; do
        excluded+=("--exclude=*/$pattern")
    done
    dpkg-deb --fsys-tarfile linux-source-*.deb | tar -xO --wildcards '*/linux-source-*.tar.xz' |
        tar -xJ --strip-components=1 --wildcards "${excluded[@]}"
    rm linux-source-*.deb
}

# build CONFIG
build() {
    # The registers of the floating point unit are read and set as a whole: AVX-512 has more than 2,696 bytes, and AMX
    # more than 8,192.
    sed -i 's/HOST_FP_SIZE, 2696/HOST_FP_SIZE, 12288/' arch/x86/um/user-offsets.c
    make -s ARCH=um KCONFIG_ALLCONFIG="$1" allnoconfig
    if grep '=y$' "$1" | grep -vxFf .config; then
        echo "the kernel does not take these options of kernel.config"
        return 1
    fi
    nice make ARCH=um -j"$(nproc)" linux 2>errors |
        awk '/^  CC / && ++files % 200 == 0 { print "compiled " files " files"; fflush() }' ||
        { tail -n 30 errors; return 1; }
}
