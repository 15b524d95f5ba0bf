namespace Farspan.Linux.Userfaults;

/// <summary>How a userfault descriptor was come by, which says what faults it is told of.</summary>
internal enum UserfaultRights
{
    /// <summary>Through <c>/dev/userfaultfd</c>: all faults.</summary>
    Device,

    /// <summary>By the system call: all faults.</summary>
    SystemCall,

    /// <summary>By the system call, without a privilege: a touch by the kernel, such as of read(2) into absent memory, fails with EFAULT instead.</summary>
    UserModeOnly,

    /// <summary>Another process sent it.</summary>
    Adopted,
}
